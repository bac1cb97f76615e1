"""Vectors of learned words, for one text encoder or for both of XL's."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from common.diffusion.text_encoder import TextPart
from common.errors import UserError
from common.text import quoted

LearnedVectors = Mapping[str, Any]
"""By word: vectors `[n, d]`; of XL such by `TextPart.vectors`, as in files of learned words."""


def checked_vectors(tokens: Any) -> dict[str, Any]:
    """Return learned vectors as float32; of None none.

    Raises:
      UserError: A word's are not finite vectors that say something, or it has another number for
        each encoder; or there are no words.
    """
    tokens = {} if tokens is None else tokens
    if not isinstance(tokens, Mapping) or not all(isinstance(word, str) for word in tokens):
        raise UserError("tokens are not vectors by word: give them as {'<dog2>': vectors}.")
    checked = {word: _checked(f"tokens[{word!r}]", vectors) for word, vectors in tokens.items()}
    for word, vectors in checked.items():
        parts = vectors.values() if isinstance(vectors, Mapping) else (vectors,)
        if any(not np.concatenate(row).any() for row in zip(*parts, strict=True)):
            raise UserError(
                f"tokens[{word!r}] holds a vector of zeros, which says nothing: leave the word out "
                "or get its vectors again."
            )
    return checked


def vectors_of(
    words: LearnedVectors, part: TextPart, parts: Sequence[TextPart]
) -> dict[str, Float[np.ndarray, "n d"]]:
    """Return the vectors of one of a model's text encoders, by word.

    Args:
      words: Of all of them.
      part: The encoder's.
      parts: Of all encoders of the model.

    Raises:
      UserError: A word's vectors are those of another number of encoders.
    """
    if len(parts) > 1:
        return {word: _of(word, vectors, part, parts) for word, vectors in words.items()}
    for word, vectors in words.items():
        if isinstance(vectors, Mapping):
            raise UserError(
                f"the vectors of {word} are those of {_listed(vectors)}, and this model has one "
                "text encoder: use tokens of the same base model."
            )
    return dict(words)


def _of(word: str, vectors: Any, part: TextPart, parts: Sequence[TextPart]) -> np.ndarray:
    names = [one.vectors for one in parts]
    if not isinstance(vectors, Mapping) or set(vectors) != set(names):
        has = _listed(vectors) if isinstance(vectors, Mapping) else "one text encoder"
        raise UserError(
            f"the vectors of {word} are those of {has}, and a Stable Diffusion XL takes "
            f"{_listed(names)}: use tokens of the same base model."
        )
    return vectors[part.vectors]


def _checked(name: str, vectors: Any) -> Any:
    if not isinstance(vectors, Mapping):
        rows = np.atleast_2d(_numbers(name, vectors))
        if rows.ndim != 2 or not rows.size:
            raise UserError(f"{name} has the shape {np.shape(vectors)}: give vectors [n, d].")
        if not np.isfinite(rows).all():
            raise UserError(f"{name} holds NaN or infinity: give finite vectors.")
        return rows
    both = {key: _checked(f"{name}[{key!r}]", part) for key, part in vectors.items()}
    if len({len(rows) for rows in both.values()}) > 1:
        counts = " and ".join(f"{len(rows)} of {key}" for key, rows in both.items())
        raise UserError(f"{name} has {counts}: give as many vectors for each text encoder.")
    return both


def _numbers(name: str, vectors: Any) -> np.ndarray:
    try:
        return np.asarray(vectors, np.float32)
    except (TypeError, ValueError):
        raise UserError(f"{name} is {quoted(vectors)}: give vectors [n, d] of numbers.") from None


def _listed(names: Any) -> str:
    return " and ".join(sorted(map(str, names))) or "no text encoder"
