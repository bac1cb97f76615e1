"""Where tokens begin: as a noun, as words near the photos, or as tokens learned before."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

from common.clip import CLIP
from common.clip.tokenizer import Tokenizer
from common.clip.vocabulary import nearest_rows
from common.data.clip_texts import text_features
from common.diffusion.words import word_key
from common.errors import UserError
from common.hub import local_run
from common.text import counted, some
from mcti_jax.formats import LearnedToken, read_tokens, require_usable, token_words
from mcti_jax.layout import AnyArray
from mcti_jax.readers import TextReader
from mcti_jax.saving import TOKENS, read_run_classes
from mcti_jax.widths import Widths, join

PHOTOS = "photos"
"""The value of `start` that stands for the words nearest to the photos of each class."""

_SHORTEST_WORD = 3


def noun_vectors(
    config: ConfigDict, tokenizer: Tokenizer, table: Float[AnyArray, "v d"]
) -> Float[AnyArray, "n d"]:
    """Return the embeddings of `init_word`: its pieces, each as often as the vectors allow.

    Raises:
      UserError: It has more pieces than a class has vectors.
    """
    ids, vectors = tokenizer.encode(config.init_word), config.vectors
    if not 0 < len(ids) <= vectors:
        pieces = " ".join(tokenizer.decode(i) for i in ids) or "nothing"
        more = f", or give vectors={len(ids)}" if ids else ""
        raise UserError(
            f"init_word={config.init_word!r} is {len(ids)} tokens ({pieces}): choose a noun that "
            f"is one token{more}."
        )
    pieces = np.arange(vectors) * len(ids) // vectors
    return table[np.asarray(ids)[pieces]].astype(np.float32)


def nouns(config: ConfigDict, readers: Sequence[TextReader]) -> Float[AnyArray, "n D"]:
    """Return `noun_vectors` for each text encoder, side by side."""
    parts = [noun_vectors(config, reader.tokenizer, reader.table) for reader in readers]
    return join(parts)


def names_tokens(config: ConfigDict) -> bool:
    """Return whether a run begins with tokens that were learned before."""
    return config.start not in ("", PHOTOS)


def learned_before(
    config: ConfigDict,
    classnames: Sequence[str],
    widths: Widths,
    fingerprint: str,
    text: str = "",
) -> dict[int, LearnedToken]:
    """Return the tokens that `start` names, by the number of the class that begins as each.

    A token belongs to the class that it was learned for, or whose name is its word. A file with
    one token that is of no class is where all classes begin.

    Args:
      config: The run's.
      classnames: K names.
      widths: Of the text encoders' inputs.
      fingerprint: Of the Stable Diffusion that is learned for.
      text: Fingerprint of its text encoder; tokens that were learned without denoising carry it.

    Raises:
      UserError: There are no tokens, none of them is of a class, or they do not fit the model.
    """
    if not names_tokens(config):
        return {}
    path = local_run(config.start)
    if (path / "config.json").exists():
        tokens = read_run_classes(path)
    else:
        tokens = read_tokens(path / TOKENS if (path / TOKENS).is_dir() else path)
    require_usable(tokens, widths, config.model)
    for token in tokens:
        _require_fitting(token, config, fingerprint, text)
    by_class: dict[str, list[LearnedToken]] = {}
    for token in sorted(tokens, key=_class_number):
        by_class.setdefault(_class_key(token), []).append(token)
    found: dict[int, LearnedToken] = {}
    for number, (name, word) in enumerate(zip(classnames, token_words(classnames), strict=True)):
        for key in (name, word_key(word)):
            if alike := by_class.get(key):
                # Of two classes of one name (ImageNet has two cranes) each has its own.
                found[number] = alike[min(classnames[:number].count(name), len(alike) - 1)]
                break
    if not found and len(tokens) == 1 and "class" not in tokens[0].metadata:
        return dict.fromkeys(range(len(classnames)), tokens[0])
    if not found:
        raise UserError(
            f"start={config.start!r} holds tokens of {some(by_class)} and none of the classes "
            f"{some(classnames)}: give a run or a file that has learned one of them."
        )
    return found


def first_vectors(
    known: Mapping[int, LearnedToken], others: Float[np.ndarray, "k n d"]
) -> Float[np.ndarray, "k n d"]:
    """Return where each class begins: as a token that was learned before, or as `others` say."""
    vectors = np.array(others, np.float32)
    for number, token in known.items():
        vectors[number] = token.vectors
    return vectors


def learned_classes(
    config: ConfigDict,
    classnames: Sequence[str],
    added: Sequence[str],
    known: Mapping[int, LearnedToken],
) -> tuple[int, ...]:
    """Return the numbers of the classes that are learned; the others keep what `start` has.

    Args:
      config: The run's.
      classnames: K names.
      added: Those of the data set `add`, which are learned alone.
      known: The tokens of `start`.

    Raises:
      UserError: `learn` names no class, or a class that is not learned has no token.
    """
    chosen = added or config.learn
    if unknown := sorted(set(chosen) - set(classnames)):
        raise UserError(
            f"learn={some(unknown)} names none of the classes {some(classnames)}: write them as "
            "the data set does."
        )
    learned = tuple(n for n, name in enumerate(classnames) if not chosen or name in chosen)
    if lacking := [classnames[n] for n in range(len(classnames)) if n not in {*learned, *known}]:
        chosen_by = f"add={config.add!r}" if added else f"learn={some(config.learn)}"
        raise UserError(
            f"{chosen_by} leaves out {some(lacking)}, for which start={config.start!r} names no "
            "tokens: give the run that learned them as start=, or learn them, too."
        )
    return learned


def nearest_words(
    clip: CLIP,
    readers: Sequence[TextReader],
    means: Float[np.ndarray, "k p"],
    vectors: int,
    cache: Path,
) -> tuple[list[tuple[str, ...]], Float[np.ndarray, "k n D"]]:
    """Return the words of the vocabulary that CLIP finds nearest to each class, and their rows.

    A word is compared as "a photo of a WORD".

    Args:
      clip: Reads the words.
      readers: Have a vocabulary each; a word is one that all of them have.
      means: Of the features of each class's photos.
      vectors: n, words of a class.
      cache: Where features of the words are kept.
    """
    known = [
        {reader.tokenizer.word(token): token for token in tokens}
        for reader in readers
        for tokens in [whole_words(reader.tokenizer, len(reader.table))]
    ]
    words = [word for word in known[0] if all(word in ids for ids in known)]
    if len(words) < vectors:
        raise UserError(
            f"start={PHOTOS} needs {counted(vectors, 'word')} for each class, and the vocabulary "
            f"has {len(words)}: give fewer vectors."
        )
    texts = text_features(clip, [f"a photo of a {word}" for word in words], cache)
    rows, _ = nearest_rows(means, texts, vectors)
    named = [tuple(words[row] for row in places) for places in rows]
    places = [np.array([ids[word] for word in words])[rows] for ids in known]
    pairs = zip(readers, places, strict=True)
    return named, join([np.asarray(reader.table)[ids].astype(np.float32) for reader, ids in pairs])


def whole_words(tokenizer: Tokenizer, rows: int) -> list[int]:
    """Return the tokens below `rows` that are a word of letters by themselves."""
    numbers = range(min(tokenizer.vocab_size, rows))
    words = [tokenizer.word(number) for number in numbers]
    plain = [n for n in numbers if words[n].isalpha() and len(words[n]) >= _SHORTEST_WORD]
    encoded = tokenizer.encode_all([words[n] for n in plain])
    return [n for n, ids in zip(plain, encoded, strict=True) if list(ids) == [n]]


def _class_number(token: LearnedToken) -> int:
    number = token.metadata.get("class_index", "")
    return int(number) if number.isdecimal() else 0


def _class_key(token: LearnedToken) -> str:
    return token.metadata.get("class") or word_key(token.token)


def _require_fitting(token: LearnedToken, config: ConfigDict, fingerprint: str, text: str) -> None:
    if len(token.vectors) != config.vectors:
        raise UserError(
            f"{token.token} of start={config.start!r} has {counted(len(token.vectors), 'vector')} "
            f"and vectors={config.vectors}: give vectors={len(token.vectors)}."
        )
    theirs = token.metadata.get("fingerprint", fingerprint)
    if theirs not in (fingerprint, text):
        model = token.metadata.get("base_model", "another model")
        raise UserError(
            f"{token.token} of start={config.start!r} was learned for {model} "
            f"({theirs}), not for model={config.model!r} ({fingerprint}): give that model, in the "
            "dtype that it had there; dtype=auto is float32 on a CPU and bfloat16 elsewhere."
        )
