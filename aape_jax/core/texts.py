"""Several texts of each class or image: in one row, encoded, and padded to one array."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from common.clip import CLIP
from common.data.clip_texts import say_cut, text_features
from common.data.few_shot import class_rows
from common.evaluation.classification import normalise


def flattened(
    texts: Sequence[Sequence[str]],
) -> tuple[list[str], Int[np.ndarray, "m"]]:
    """Return all texts of several owners in one row, with the number of each one's owner."""
    flat = [text for row in texts for text in row]
    return flat, np.repeat(np.arange(len(texts)), [len(row) for row in texts])


def encode_captions(
    texts: Sequence[Sequence[str]], clip: CLIP, cache: Path
) -> tuple[Float[np.ndarray, "m q"], Int[np.ndarray, "m"]]:
    """Return the features of all captions, unit length, with the image of each."""
    flat, owner = flattened(texts)
    return normalise(text_features(clip, flat, cache, partial(say_cut, "caption"))), owner


def by_class(
    features: Float[np.ndarray, "b p"], labels: Int[np.ndarray, "b"], classes: int
) -> tuple[Float[np.ndarray, "k n p"], Bool[np.ndarray, "k n"]]:
    """Sort rows by class: padded with zeros, and the mask of real rows."""
    rows = class_rows(labels, classes)
    mask = np.arange(rows.rows.shape[1]) < rows.counts[:, None]
    return features[rows.rows] * mask[..., None], mask
