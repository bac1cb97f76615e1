"""A small vocabulary of sentencepiece's kind, as SigLIP's own is, learned from the pocket corpus.

Every piece costs the same and a letter twice as much, so that a text is split into as few pieces
as possible: frequent words are whole, rarer ones fall into syllables.
"""

import string
from collections.abc import Iterable, Sequence
from pathlib import Path

from common.clip.pieces_file import FILE, SETTINGS, SPACE
from common.clip.siglip_tokenizer import SigLIPTokenizer
from common.files import write_json
from tools.pocket.vocabulary import Pair

PAD, END, UNKNOWN = "<pad>", "</s>", "<unk>"
_SPECIAL = (PAD, END, UNKNOWN)
_LETTERS = (SPACE, *string.ascii_lowercase, *string.digits)
_STOP = "</w>"
_PIECE, _LETTER = -10.0, -20.0  # logarithms of a unigram model's probabilities


def write_siglip_tokenizer(
    merges: Iterable[Pair], texts: Sequence[str], directory: Path, length: int
) -> None:
    """Write the files of a tokenizer whose pieces are those that the texts need.

    Args:
      merges: Of `vocabulary.learn_merges`; what they put together are the candidates.
      texts: What the tokenizer is for.
      directory: Where it goes.
      length: Of the longest text, in tokens.
    """
    candidates = _candidates(merges)
    _write(candidates, directory, length)
    tokenizer = SigLIPTokenizer.from_directory(directory)
    used = {number for row in tokenizer.encode_all(texts) for number in row}
    first = len(_SPECIAL) + len(_LETTERS)
    _write([x for n, x in enumerate(candidates, first) if n in used], directory, length)


def _candidates(merges: Iterable[Pair]) -> list[str]:
    tokens = list(dict.fromkeys("".join(pair) for pair in merges))
    pieces = [token.removesuffix(_STOP) for token in tokens]
    return list(dict.fromkeys([*(SPACE + x for x in (*_LETTERS[1:], *pieces)), *pieces]))


def _write(pieces: Sequence[str], directory: Path, length: int) -> None:
    marks = {"special": True, "normalized": False, "single_word": False}
    marks |= {"lstrip": True, "rstrip": True}
    vocabulary = [
        *([word, 0.0] for word in _SPECIAL),
        *([letter, _LETTER] for letter in _LETTERS),
        *([piece, _PIECE] for piece in pieces),
    ]
    added = [{"id": number, "content": word, **marks} for number, word in enumerate(_SPECIAL)]
    model = {"type": "Unigram", "unk_id": _SPECIAL.index(UNKNOWN), "vocab": vocabulary}
    write_json(directory / FILE, {"version": "1.0", "added_tokens": added, "model": model})
    write_json(directory / SETTINGS, {"model_max_length": length})
