"""Vectors of learned words, for one text encoder or for both of XL's."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from common.diffusion.text_encoder import TextPart
from common.errors import UserError

LearnedVectors = Mapping[str, Any]
"""By word: vectors `[n, d]`; of XL such by `TextPart.vectors`, as in files of learned words."""


def checked_vectors(tokens: LearnedVectors) -> dict[str, Any]:
    """Return learned vectors as float32.

    Raises:
      UserError: A word's are not finite vectors, or it has another number for each encoder.
    """
    return {word: _checked(f"tokens[{word!r}]", vectors) for word, vectors in tokens.items()}


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
        rows = np.atleast_2d(np.asarray(vectors, np.float32))
        if rows.ndim != 2 or not np.isfinite(rows).all():
            raise UserError(
                f"{name} has the shape {np.shape(vectors)}: give finite vectors [n, d]."
            )
        return rows
    both = {key: _checked(f"{name}[{key!r}]", part) for key, part in vectors.items()}
    if len({len(rows) for rows in both.values()}) > 1:
        counts = " and ".join(f"{len(rows)} of {key}" for key, rows in both.items())
        raise UserError(f"{name} has {counts}: give as many vectors for each text encoder.")
    return both


def _listed(names: Any) -> str:
    return " and ".join(sorted(map(str, names))) or "no text encoder"
