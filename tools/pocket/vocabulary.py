"""A small byte-pair vocabulary in CLIP's format, learned from the pocket corpus.

The files are those of any CLIP tokenizer (`vocab.json`, `merges.txt` and two settings
files), so that every CLIP tokenizer reads them. As in CLIP, the ids are the 256 byte
characters, the same with `</w>`, the merges in order, and the two special tokens last.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from common.files import atomic_write
from common.pocket.captions import questions
from tools.pocket.corpus import sample_corpus
from tools.pocket.wording import FORMS, TAILS

# A word must be this frequent in the corpus's first captions to become one token.
_CAPTIONS, LEAST_COUNT = 20_000, 12
_ASKED_ABOUT = 500  # scenes whose questions are among the further texts
START, END = "<|startoftext|>", "<|endoftext|>"
_STOP = "</w>"
_WORD = re.compile(r"[^\W\d_]+|\d|[^\s\w]+")

Pair = tuple[str, str]


def pocket_texts(seed: int) -> tuple[tuple[str, ...], list[str]]:
    """Return captions whose frequent words are to become tokens, and texts all of whose words are.

    Args:
      seed: Of the corpus.
    """
    corpus = sample_corpus(_CAPTIONS, seed)
    further = [*(template.format("") for template in FORMS), *TAILS]
    for scene in corpus.scenes[:_ASKED_ABOUT]:
        further += [f"{q.text} {q.answer}" for q in questions(scene)]
    return corpus.captions, further


def learn_merges(captions: Iterable[str], least: int, further: Iterable[str] = ()) -> list[Pair]:
    """Merge pairs, the most frequent first, until each word seen `least` times is one token.

    Ties go to the pair that comes first in the alphabet, so the result is fixed by the
    texts. Rarer words stay in pieces, as rare words do in CLIP's own vocabulary; the words of
    the `further` texts become tokens however rare they are.
    """
    counts = _count_words(captions)
    for word in _count_words(further):
        counts[word] = max(counts[word], least)
    words = {
        (*word[:-1], word[-1] + _STOP): count for word, count in counts.items() if count >= least
    }
    merges = []
    while pairs := _count_pairs(words):
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        words = {_merged(word, best): count for word, count in words.items()}
    return merges


def _count_words(texts: Iterable[str]) -> Counter:
    return Counter(word for text in texts for word in _WORD.findall(text.lower()))


def _count_pairs(words: dict[tuple[str, ...], int]) -> Counter:
    pairs = Counter()
    for word, count in words.items():
        for pair in pairwise(word):
            pairs[pair] += count
    return pairs


def _merged(word: tuple[str, ...], pair: Pair) -> tuple[str, ...]:
    pieces, at = [], 0
    while at < len(word):
        step = 2 if word[at : at + 2] == pair else 1
        pieces.append("".join(word[at : at + step]))
        at += step
    return tuple(pieces)


def byte_characters() -> list[str]:
    """Return the printable character that stands for each byte, in CLIP's order of ids."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + n) for n in range(len(others))]


def write_tokenizer(merges: Sequence[Pair], directory: Path, length: int = 77) -> None:
    """Write the files of a tokenizer for texts of up to `length` tokens into `directory`."""
    characters = byte_characters()
    tokens = [
        *characters,
        *(character + _STOP for character in characters),
        *("".join(pair) for pair in merges),
        START,
        END,
    ]
    marks = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
    settings = {
        **marks,
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": length,
        "do_lower_case": True,
        "errors": "replace",
        "add_prefix_space": False,
    }
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    files = {
        "vocab.json": json.dumps({token: n for n, token in enumerate(tokens)}, ensure_ascii=False),
        "merges.txt": "\n".join(lines) + "\n",
        "special_tokens_map.json": json.dumps(marks, indent=2),
        # Last, so that an interrupted directory is not taken for a complete one.
        "tokenizer_config.json": json.dumps(settings, indent=2),
    }
    for name, text in files.items():
        with atomic_write(directory / name) as path:
            path.write_text(text, encoding="utf-8")
