"""Frozen CLIP features of photos: computed once, kept on disk."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PyTree
from PIL import Image

from common.clip import CLIP, ImageOutput
from common.clip.outputs import ImageTower
from common.data.cache import Key
from common.data.passes import cached_pass
from common.data.splits import ImageSplit
from common.encoding import Encoder

PHOTOS_AT_ONCE = 64
PART = 512  # photos in a file, so that an interrupted pass goes on behind the last one


@dataclass(frozen=True)
class Version:
    """What is done to a photo before CLIP's own preprocessing.

    Attributes:
      name: Distinguishes versions, in the cache and in messages.
      change: (photo, its row) -> photo.
    """

    name: str
    change: Callable[[Image.Image, int], Image.Image]


ORIGINAL = Version("original", lambda photo, row: photo)
MIRROR = Version("mirror", lambda photo, row: photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT))


def image_features(
    clip: CLIP, split: ImageSplit, cache: Path, version: Version = ORIGINAL
) -> Float[np.ndarray, "b p"]:
    """Return features of the photos in one version, not normalised."""
    if not len(split):
        return np.zeros((0, clip.config.text.projection), np.float32)
    return _encode_photos(clip, split, cache, version, ("features",))["features"]


def features_and_grids(
    clip: CLIP, split: ImageSplit, cache: Path
) -> tuple[Float[np.ndarray, "b p"], Float[np.ndarray, "b t c"]]:
    """Return what `image_features` gives, and the photos' cells, from one pass of the tower.

    Cells are what the tower's pooling reads, row by row, in float16: for ViT the patches of the
    last hidden state, for ResNet the last feature map.
    """
    arrays = _encode_photos(clip, split, cache, ORIGINAL, ("features", "grid"))
    return arrays["features"], arrays["grid"]


def _encode_photos(
    clip: CLIP, split: ImageSplit, cache: Path, version: Version, names: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """Return the named arrays; each is cached by itself."""

    def load(row: int) -> np.ndarray:
        return clip.preprocess(version.change(split.load(row), row))

    def key(rows: range) -> Key:
        return {
            "what": f"clip image, {version.name}",
            "weights": clip.fingerprint,
            "data": split.take(rows).fingerprint,
            "preprocessing": repr(clip.preprocess),
            "dtype": str(jnp.dtype(clip.dtype)),
        }

    return cached_pass(
        photo_encoder(clip.image_tower, names),
        clip.params["vision"],
        load,
        len(split),
        names=names,
        shapes=_shapes_of_a_photo(clip),
        batch_size=PHOTOS_AT_ONCE,
        part=PART,
        directory=cache,
        key=key,
        title=f"Encoding photos (CLIP {' and '.join(names)}, {version.name})",
        unit="photos",
    )


def _shapes_of_a_photo(clip: CLIP) -> dict[str, tuple[int, ...]]:
    vision = clip.config.vision
    return {"features": (vision.projection,), "grid": vision.grid}


# One function per tower, so that what JAX compiled for one pass serves the next.
@functools.cache
def photo_encoder(tower: ImageTower, names: tuple[str, ...]) -> Encoder:
    """Return what gives the named arrays of preprocessed photos."""

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
