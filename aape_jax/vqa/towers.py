"""Where image features of questions come from: CLIP, frozen, or a small tower that is trained."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree, UInt8
from ml_collections import ConfigDict

from aape_jax.core.unit import unit
from common.clip import CLIP
from common.data import ImageSplit
from common.data.clip_features import image_features
from common.errors import UserError
from common.evaluation.classification import normalise
from common.photos.broken import load_all
from common.photos.images import squash


@runtime_checkable
class Tower(Protocol):
    """What is computed of pictures once, and what a training step makes of it."""

    def see(self, clip: CLIP, pictures: ImageSplit, cache: Path) -> np.ndarray:
        """Return whatever does not change in training."""

    def outline(self, images: int, width: int) -> jax.ShapeDtypeStruct:
        """Return the shape of what `see` gives."""

    def init(self, key: Key[Array, ""], width: int) -> PyTree:
        """Return what is trained; empty where nothing is."""

    def __call__(self, params: PyTree, seen: Array) -> Float[Array, "b p"]:
        """Return features of unit length."""


@dataclass(frozen=True)
class FrozenTower:
    """CLIP's own image tower, run once over each picture."""

    def see(self, clip: CLIP, pictures: ImageSplit, cache: Path) -> Float[np.ndarray, "b p"]:
        """Return CLIP's features, unit length."""
        return normalise(image_features(clip, pictures, cache))

    def outline(self, images: int, width: int) -> jax.ShapeDtypeStruct:
        """Return the shape of what `see` gives."""
        return jax.ShapeDtypeStruct((images, width), jnp.float32)

    def init(self, key: Key[Array, ""], width: int) -> PyTree:
        """Return no parameters: nothing is trained."""
        del key, width
        return {}

    def __call__(self, params: PyTree, seen: Float[Array, "b p"]) -> Float[Array, "b p"]:
        """Return the features as they are."""
        del params
        return seen


@dataclass(frozen=True)
class SmallTower:
    """Convolutions of 3x3 and stride 2 with ReLU, then one matrix over what is pooled of the cells.

    Pooling leaves no place for where something is, only for whether it is there.

    Attributes:
      side: Of the square that a picture is resized to, in pixels.
      channels: Of each convolution.
    """

    side: int
    channels: tuple[int, ...] = (16, 32, 64, 128)

    def see(self, clip: CLIP, pictures: ImageSplit, cache: Path) -> UInt8[np.ndarray, "b h w 3"]:
        """Return the pictures' pixels."""
        del clip, cache
        return load_all(lambda row: squash(pictures.load(row), self.side, self.side), len(pictures))

    def outline(self, images: int, width: int) -> jax.ShapeDtypeStruct:
        """Return the shape of what `see` gives."""
        del width
        return jax.ShapeDtypeStruct((images, self.side, self.side, 3), jnp.uint8)

    def init(self, key: Key[Array, ""], width: int) -> PyTree:
        """Draw He's initialisation."""
        *keys, last = jax.random.split(key, len(self.channels) + 1)
        start = jax.nn.initializers.he_normal()
        inputs = (3, *self.channels[:-1])
        params = {
            f"conv_{number}": {"kernel": start(key, (9 * c, made)), "bias": jnp.zeros(made)}
            for number, (key, c, made) in enumerate(zip(keys, inputs, self.channels, strict=True))
        }
        return params | {"last": start(last, (2 * self.channels[-1], width))}

    def __call__(self, params: PyTree, seen: UInt8[Array, "b h w 3"]) -> Float[Array, "b p"]:
        """Return features of unit length."""
        cells = seen / 127.5 - 1
        for number in range(len(self.channels)):
            layer = params[f"conv_{number}"]
            cells = jax.nn.relu(patches(cells) @ layer["kernel"] + layer["bias"])
        pooled = jnp.concatenate([cells.max(axis=(1, 2)), cells.mean(axis=(1, 2))], axis=-1)
        return unit(pooled @ params["last"])


def patches(cells: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 c9"]:
    """Return the 3x3 cells that a convolution of stride 2 reads at each place, rows first.

    In a loop, as the training step is, XLA's own convolutions are ten times slower on CPUs.
    """
    rows, columns = (-(-size // 2) for size in cells.shape[1:3])
    padded = jnp.pad(cells, ((0, 0), (0, 2), (0, 2), (0, 0)))
    shifted = [
        padded[:, i : i + 2 * rows : 2, j : j + 2 * columns : 2] for i in range(3) for j in range(3)
    ]
    return jnp.concatenate(shifted, axis=-1)


def make_tower(config: ConfigDict) -> Tower:
    """Read `config.tower` and `config.side`.

    Raises:
      UserError: An option is unknown or out of range.
    """
    towers = {"": FrozenTower, "small": lambda: SmallTower(config.side)}
    if config.tower not in towers:
        raise UserError(
            f"tower={config.tower!r} is unknown: write small, or leave it empty for CLIP's."
        )
    if config.side < 8:
        raise UserError(f"side={config.side}: the small tower needs at least 8 pixels.")
    return towers[config.tower]()
