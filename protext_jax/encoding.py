"""Frozen CLIP features of texts and of pictures: computed once, kept on disk."""

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PyTree

from common.clip import CLIP, ModifiedResNet, TextTower, ViT, encode_image, encode_text
from common.data import FeatureSplit, ImageSplit
from common.data.cache import cached
from common.data.encoding import Encoder, feature_pass
from common.errors import UserError
from common.training.progress import Progress

TEXTS_AT_ONCE = 64
PICTURES_AT_ONCE = 64
CHUNK = 2048  # pictures between two files, so that an interrupted pass goes on
WIDTHS = (16, 24, 32, 48)  # token columns that texts are sorted into; a program each


def encode_texts(clip: CLIP, texts: Sequence[str], cache: Path) -> Float[np.ndarray, "b p"]:
    """Features of texts, not normalised.

    Each distinct text is encoded once and with no more columns than its group of lengths needs,
    which is exact: the tower is causal and padding comes last. What is too long is cut: of
    sentences none is left by then, so it is the end of a baseline's filler.
    """
    distinct = list(dict.fromkeys(texts))

    def compute() -> dict[str, np.ndarray]:
        return {"features": _encode_distinct(clip, distinct)}

    key = {
        "what": "clip text features",
        "weights": clip.fingerprint,
        "data": hashlib.sha256("\n".join(distinct).encode()).hexdigest(),
        "dtype": str(jnp.dtype(clip.dtype)),
    }
    features = cached(cache, key, compute)["features"]
    row = {text: i for i, text in enumerate(distinct)}
    return features[[row[text] for text in texts]]


def encode_pictures(
    clip: CLIP, split: ImageSplit | FeatureSplit, cache: Path
) -> Float[np.ndarray, "b p"]:
    """Features of pictures, not normalised; a file of features brings its own.

    Raises:
      UserError: The features are of another width than this CLIP's.
    """
    require_width(clip, split)
    if isinstance(split, FeatureSplit):
        return split.features.astype(np.float32)
    starts = range(0, len(split), CHUNK)
    with Progress(len(split), "Encoding photos (CLIP)", unit="photos") as progress:
        parts = []
        for start in starts:
            rows = range(start, min(start + CHUNK, len(split)))
            parts.append(_encode_chunk(clip, split.take(rows), cache))
            progress.update(rows.stop)
    return np.concatenate(parts)


def require_width(clip: CLIP, split: ImageSplit | FeatureSplit) -> None:
    """Refuses a file of features that are not this CLIP's.

    Raises:
      UserError: The features are of another width.
    """
    width = clip.config.text.projection
    if isinstance(split, FeatureSplit) and split.features.shape[1] != width:
        raise UserError(
            f"the features have width {split.features.shape[1]}, but those of this model "
            f"have {width}: take the features of this model, or the model of the features."
        )


def _encode_chunk(clip: CLIP, split: ImageSplit, cache: Path) -> Float[np.ndarray, "b p"]:
    def compute() -> dict[str, np.ndarray]:
        return feature_pass(
            _picture_encoder(clip.image_tower),
            clip.params["vision"],
            lambda row: clip.preprocess(split.load(row)),
            len(split),
            batch_size=PICTURES_AT_ONCE,
        )

    key = {
        "what": "clip image features",
        "weights": clip.fingerprint,
        "data": split.fingerprint,
        "preprocessing": repr(clip.preprocess),
        "dtype": str(jnp.dtype(clip.dtype)),
    }
    return cached(cache, key, compute)["features"]


def _encode_distinct(clip: CLIP, texts: Sequence[str]) -> Float[np.ndarray, "b p"]:
    config, encode = clip.config.text, _text_encoder(clip.text_tower)
    ids = clip.tokenizer(texts, truncate=True)
    lengths = (ids == config.eos).argmax(1) + 1
    widths = [*(width for width in WIDTHS if width < lengths.max()), int(lengths.max())]
    group = np.searchsorted(widths, lengths)
    features = np.empty((len(texts), config.projection), np.float32)

    with Progress(len(texts), "Encoding sentences (CLIP)", unit="sentences") as progress:
        done = 0
        for number, width in enumerate(widths):
            rows = np.flatnonzero(group == number)
            if not len(rows):
                continue
            found = feature_pass(
                encode,
                clip.params["text"],
                lambda row, own=ids[rows, :width]: own[row],
                len(rows),
                batch_size=TEXTS_AT_ONCE,
                progress=lambda n, total, done=done: progress.update(done + n),
            )
            features[rows] = found["features"]
            done += len(rows)
    return features


# One function per tower, so that what JAX compiled for one pass serves the next.
@functools.cache
def _text_encoder(tower: TextTower) -> Encoder:
    def encode(params: PyTree, ids: jax.Array) -> dict[str, jax.Array]:
        return {"features": encode_text(tower, params, ids).astype("float32")}

    return encode


@functools.cache
def _picture_encoder(tower: ViT | ModifiedResNet) -> Encoder:
    def encode(params: PyTree, pixels: jax.Array) -> dict[str, jax.Array]:
        return {"features": encode_image(tower, params, pixels).astype("float32")}

    return encode
