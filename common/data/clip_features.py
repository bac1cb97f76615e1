"""Frozen CLIP features of texts and of photos: computed once, kept on disk."""

import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PyTree
from PIL import Image

from common.clip import CLIP, ModifiedResNet, TextTower, ViT, encode_image, encode_text
from common.data.cache import cached
from common.data.dataset import ImageSplit
from common.data.encoding import Encoder, feature_pass
from common.progress import Progress

TEXTS_AT_ONCE = 64
PHOTOS_AT_ONCE = 64
CHUNK = 2048  # photos between two files, so that an interrupted pass goes on
WIDTHS = (16, 24, 32, 48)  # token columns that texts are sorted into; a program each


@dataclass(frozen=True)
class Version:
    """What is done to a photo before CLIP's own preprocessing.

    Attributes:
      name: tells versions apart, in the cache and for people.
      change: (photo, its row) -> photo.
    """

    name: str
    change: Callable[[Image.Image, int], Image.Image]


ORIGINAL = Version("original", lambda photo, row: photo)
MIRROR = Version("mirror", lambda photo, row: photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT))


def text_features(clip: CLIP, texts: Sequence[str], cache: Path) -> Float[np.ndarray, "b p"]:
    """Features of texts, not normalised; what is too long for the tower is cut.

    Each distinct text is encoded once and with no more columns than its group of lengths needs,
    which is exact: the tower is causal and padding comes last.
    """
    distinct = list(dict.fromkeys(texts))

    def compute() -> dict[str, np.ndarray]:
        return {"features": _encode_distinct(clip, distinct)}

    key = {
        "what": "clip text features",
        "weights": clip.fingerprint,
        "data": hashlib.sha256(json.dumps(distinct).encode()).hexdigest(),
        "dtype": str(jnp.dtype(clip.dtype)),
    }
    features = cached(cache, key, compute)["features"]
    row = {text: i for i, text in enumerate(distinct)}
    return features[[row[text] for text in texts]]


def image_features(
    clip: CLIP, split: ImageSplit, cache: Path, version: Version = ORIGINAL
) -> Float[np.ndarray, "b p"]:
    """Features of the photos in one version, not normalised."""
    parts = [np.zeros((0, clip.config.text.projection), np.float32)]
    return np.concatenate(parts + _encode_photos(clip, split, cache, version, "features"))


def grid_features(clip: CLIP, split: ImageSplit, cache: Path) -> Float[np.ndarray, "b t c"]:
    """The cells of the photos as the tower's pooling reads them, row by row, in float16.

    For ViT the patches of the last hidden state, for ResNet the last feature map.
    """
    return np.concatenate(_encode_photos(clip, split, cache, ORIGINAL, "grid"))


def _encode_photos(
    clip: CLIP, split: ImageSplit, cache: Path, version: Version, what: str
) -> list[np.ndarray]:
    """One array for each chunk of the photos."""
    title = f"Encoding photos (CLIP {what}, {version.name})"
    parts = []
    with Progress(len(split), title, unit="photos") as progress:
        for start in range(0, len(split), CHUNK):
            rows = range(start, min(start + CHUNK, len(split)))
            parts.append(_encode_chunk(clip, split, rows, cache, version, what, progress))
            progress.update(rows.stop)
    return parts


def _encode_chunk(
    clip: CLIP,
    split: ImageSplit,
    rows: range,
    cache: Path,
    version: Version,
    what: str,
    progress: Progress,
) -> np.ndarray:
    def load(number: int) -> np.ndarray:
        row = rows[number]
        return clip.preprocess(version.change(split.load(row), row))

    def compute() -> dict[str, np.ndarray]:
        return feature_pass(
            _PHOTO_ENCODERS[what](clip.image_tower),
            clip.params["vision"],
            load,
            len(rows),
            batch_size=PHOTOS_AT_ONCE,
            progress=lambda done, total: progress.update(rows.start + done),
        )

    key = {
        "what": f"clip image {what}, {version.name}",
        "weights": clip.fingerprint,
        "data": split.take(rows).fingerprint,
        "preprocessing": repr(clip.preprocess),
        "dtype": str(jnp.dtype(clip.dtype)),
    }
    return cached(cache, key, compute)[what]


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
def _photo_encoder(tower: ViT | ModifiedResNet) -> Encoder:
    def encode(params: PyTree, pixels: jax.Array) -> dict[str, jax.Array]:
        return {"features": encode_image(tower, params, pixels).astype("float32")}

    return encode


@functools.cache
def _grid_encoder(tower: ViT | ModifiedResNet) -> Encoder:
    def encode(params: PyTree, pixels: jax.Array) -> dict[str, jax.Array]:
        grid = tower.apply({"params": params}, pixels).grid
        return {"grid": grid.reshape(len(grid), -1, grid.shape[-1]).astype("float16")}

    return encode


_PHOTO_ENCODERS = {"features": _photo_encoder, "grid": _grid_encoder}
