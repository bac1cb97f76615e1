"""The bundled data sets: `pocket:NAME`, drawn when opened, no files."""

import functools
import hashlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from common.data.dataset import Dataset
from common.data.splits import ImageSplit
from common.errors import UserError
from common.pocket.renderer import render
from common.pocket.sentences import describe
from common.pocket.world import NAMED, NAMELESS, RARE, SECOND, Scene, Species, sample_scene


@dataclass(frozen=True)
class PocketSet:
    """Which species a data set shows, and in which style."""

    species: tuple[Species, ...]
    style: str = "photo"
    train_shots: int = 16
    test_shots: int = 40


SETS = {
    "named": PocketSet(NAMED, train_shots=4, test_shots=2),
    "nameless": PocketSet(NAMELESS),
    "rare": PocketSet(RARE),
    "rare_sketch": PocketSet(RARE, style="sketch"),
    "second": PocketSet(SECOND),
}


@dataclass(frozen=True)
class ScenePhoto:
    """A picture that is drawn when it is opened."""

    scene: Scene

    def open(self) -> Image.Image:
        """Draw the scene."""
        return Image.fromarray(_pixels(self.scene))

    def digest(self) -> bytes:
        """Return the SHA-256 digest of the pixels."""
        return hashlib.sha256(_pixels(self.scene).tobytes()).digest()


@functools.lru_cache(maxsize=4096)
def _pixels(scene: Scene) -> UInt8[np.ndarray, "h w 3"]:
    # A run reads each picture several times; those of a whole set take a few megabytes.
    return render([scene])[0]


def open_pocket(name: str) -> Dataset:
    """Open one of the bundled data sets.

    Raises:
      UserError: There is no set of that name.
    """
    return _opened(name, _find(name))


@functools.cache
def _opened(name: str, chosen: PocketSet) -> Dataset:
    # By the settings as well, so that a set with others is another one.
    return Dataset(
        name=f"pocket:{name}",
        classnames=tuple(species.name for species in chosen.species),
        train=_split(chosen, name, "train", chosen.train_shots),
        test=_split(chosen, name, "test", chosen.test_shots),
    )


def pocket_descriptions(name: str, count: int = 20) -> dict[str, tuple[str, ...]]:
    """Return `count` LLM-like sentences for each class of a bundled set, by class name.

    Raises:
      UserError: There is no set of that name.
    """
    return {species.name: describe(species, count) for species in _find(name).species}


def _find(name: str) -> PocketSet:
    if name not in SETS:
        known = ", ".join(f"pocket:{known}" for known in SETS)
        raise UserError(f"there is no bundled data set 'pocket:{name}': choose one of {known}.")
    return SETS[name]


def _split(chosen: PocketSet, name: str, part: str, shots: int) -> ImageSplit:
    rows = [(label, shot) for label in range(len(chosen.species)) for shot in range(shots)]
    salt = int.from_bytes(hashlib.sha256(f"{name}/{part}".encode()).digest()[:4], "big")
    pictures = tuple(
        ScenePhoto(
            sample_scene(
                chosen.species[label], np.random.default_rng((salt, label, shot)), chosen.style
            )
        )
        for label, shot in rows
    )
    names = tuple(f"{chosen.species[label].name}/{part}-{shot:02d}" for label, shot in rows)
    return ImageSplit(np.array([label for label, _ in rows]), names, pictures)
