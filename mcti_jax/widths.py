"""How a class's vectors for several text encoders lie in one array: side by side, `[... D]`.

Of Stable Diffusion XL D is 768 + 1280; with one text encoder it is that encoder's own width, and
nothing is divided.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Widths = tuple[int, ...]
"""Of the inputs of a model's text encoders, in their order."""

KEYS = ("clip_l", "clip_g")
"""What files and prompts call the vectors of XL's text encoders, in their order."""


def split(vectors: Any, widths: Widths) -> tuple[Any, ...]:
    """Return each text encoder's part of vectors `[... D]`."""
    if len(widths) == 1:
        return (vectors,)
    ends = tuple(itertools.accumulate(widths))
    return tuple(vectors[..., end - width : end] for end, width in zip(ends, widths, strict=True))


def join(parts: Sequence[Any]) -> Any:
    """Return vectors `[... D]` of each text encoder's part."""
    if len(parts) == 1:
        return parts[0]
    if all(isinstance(part, np.ndarray) for part in parts):
        return np.concatenate(parts, axis=-1)
    import jax.numpy as jnp  # Of traced arrays, where shapes alone are asked for.

    return jnp.concatenate(parts, axis=-1)


def by_encoder(vectors: np.ndarray, widths: Widths) -> np.ndarray | Mapping[str, np.ndarray]:
    """Return vectors `[n D]` as prompts take them: of XL by the key of each text encoder."""
    parts = split(vectors, widths)
    return parts[0] if len(parts) == 1 else dict(zip(KEYS, parts, strict=True))


def encoder_of_width(widths: Widths, width: int) -> int | None:
    """Return the number of the last text encoder of a width; None if there is none."""
    return max((number for number, own in enumerate(widths) if own == width), default=None)


def listed(widths: Widths) -> str:
    """Return widths for a sentence: "768 and 1280"."""
    return " and ".join(map(str, widths))
