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

from common.clip import CLIP, ImageOutput, ModifiedResNet, TextTower, ViT, encode_text
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
    chunks = _encode_photos(clip, split, cache, version, ("features",))
    nothing = np.zeros((0, clip.config.text.projection), np.float32)
    return np.concatenate([nothing, *(chunk["features"] for chunk in chunks)])


def features_and_grids(
    clip: CLIP, split: ImageSplit, cache: Path
) -> tuple[Float[np.ndarray, "b p"], Float[np.ndarray, "b t c"]]:
    """What `image_features` gives, and the photos' cells, from one pass of the tower.

    Cells are what the tower's pooling reads, row by row, in float16: for ViT the patches of the
    last hidden state, for ResNet the last feature map.
    """
    chunks = _encode_photos(clip, split, cache, ORIGINAL, ("features", "grid"))
    features, grids = (np.concatenate([c[name] for c in chunks]) for name in ("features", "grid"))
    return features, grids


def _encode_photos(
    clip: CLIP, split: ImageSplit, cache: Path, version: Version, names: tuple[str, ...]
) -> list[dict[str, np.ndarray]]:
    """The named arrays for each chunk of the photos."""
    title = f"Encoding photos (CLIP {' and '.join(names)}, {version.name})"
    parts = []
    with Progress(len(split), title, unit="photos") as progress:
        for start in range(0, len(split), CHUNK):
            rows = range(start, min(start + CHUNK, len(split)))
            parts.append(_encode_chunk(clip, split, rows, cache, version, names, progress))
            progress.update(rows.stop)
    return parts


def _encode_chunk(
    clip: CLIP,
    split: ImageSplit,
    rows: range,
    cache: Path,
    version: Version,
    names: tuple[str, ...],
    progress: Progress,
) -> dict[str, np.ndarray]:
    """The arrays have a file each, so that who needs one alone shares it with who needs both."""

    def load(number: int) -> np.ndarray:
        row = rows[number]
        return clip.preprocess(version.change(split.load(row), row))

    @functools.cache
    def compute() -> dict[str, np.ndarray]:
        return feature_pass(
            _photo_encoder(clip.image_tower, names),
            clip.params["vision"],
            load,
            len(rows),
            batch_size=PHOTOS_AT_ONCE,
            progress=lambda done, total: progress.update(rows.start + done),
        )

    key = {
        "weights": clip.fingerprint,
        "data": split.take(rows).fingerprint,
        "preprocessing": repr(clip.preprocess),
        "dtype": str(jnp.dtype(clip.dtype)),
    }
    found = {}
    for name in names:
        own = key | {"what": f"clip image {name}, {version.name}"}
        found |= cached(cache, own, lambda name=name: {name: compute()[name]})
    return found


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
def _photo_encoder(tower: ViT | ModifiedResNet, names: tuple[str, ...]) -> Encoder:
    def encode(params: PyTree, pixels: jax.Array) -> dict[str, jax.Array]:
        seen = tower.apply({"params": params}, pixels)
        return {name: _OF_A_PHOTO[name](seen) for name in names}

    return encode


def _cells(seen: ImageOutput) -> Float[jax.Array, "b t c"]:
    return seen.grid.reshape(len(seen.grid), -1, seen.grid.shape[-1])


_OF_A_PHOTO: dict[str, Callable[[ImageOutput], jax.Array]] = {
    "features": lambda seen: seen.features.astype("float32"),
    "grid": lambda seen: _cells(seen).astype("float16"),
}
