"""Labelled examples: pictures, or features of pictures that need not be at hand."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float, Int
from PIL import Image

from common.data.checks import require_labels
from common.errors import UserError
from common.photos.broken import BrokenExamples, BrokenPicture, errors_of
from common.photos.collection import Photos, pictures_of
from common.photos.photo import Picture

_AT_ONCE = 1024  # Pictures whose digests are awaited together.


@dataclass(frozen=True, eq=False)
class ImageSplit:
    """Labelled pictures, opened one at a time.

    Attributes:
      labels: Class of each picture, an index into the data set's `classnames`.
      names: Name of each picture in messages, e.g. its path inside the data set.
      pictures: The source of each picture.
    """

    labels: Int[np.ndarray, "b"]
    names: tuple[str, ...]
    pictures: tuple[Picture, ...]

    def __post_init__(self):
        if not len(self.labels) == len(self.names) == len(self.pictures):
            raise ValueError(
                f"{len(self.labels)} labels, {len(self.names)} names and "
                f"{len(self.pictures)} pictures: there must be as many of each."
            )

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def from_arrays(
        cls, photos: Photos, labels: Any, classes: int, what: str = "photos"
    ) -> "ImageSplit":
        """Make a split of photos that a program holds; see `Dataset.from_arrays`.

        Raises:
          UserError: An entry is not a photo, or the labels are not one of `classes` for each.
        """
        pictures, labels = pictures_of(photos, what), _array(labels, what)
        labels = labels if len(pictures) else labels.astype(np.int64)
        labels = require_labels(labels, classes, f"the labels of {what}")
        if len(labels) != len(pictures):
            raise UserError(
                f"{what} are {len(pictures)} and their labels {len(labels)}: give a label for each."
            )
        names = tuple(f"{what}[{place}]" for place in range(len(pictures)))
        return cls(labels, names, pictures)

    def load(self, row: int) -> Image.Image:
        """Return the upright RGB picture of one row.

        Raises:
          UserError: The picture is broken; the message names it.
        """
        return self.pictures[row].open()

    def take(self, rows: Sequence[int] | Int[np.ndarray, "r"]) -> "ImageSplit":
        """Return the given rows in the given order."""
        return ImageSplit(
            labels=self.labels[np.asarray(rows, dtype=np.int64)],
            names=tuple(self.names[row] for row in rows),
            pictures=tuple(self.pictures[row] for row in rows),
        )

    @cached_property
    def fingerprint(self) -> str:
        """16 hex characters that change with any label, picture content or their order.

        Raises:
          BrokenExamples: The files of some pictures cannot be read; all of them are named.
        """
        labels = self.labels.astype("<i8").tobytes()
        return hashlib.sha256(labels + b"".join(self.digests)).hexdigest()[:16]

    @cached_property
    def digests(self) -> list[bytes]:
        """The SHA-256 of each picture's content.

        Raises:
          BrokenExamples: The files of some pictures cannot be read; all of them are named.
        """
        try:
            with ThreadPoolExecutor() as pool:  # Remote files come slowly, one after another.
                parts = [self.pictures[at : at + _AT_ONCE] for at in range(0, len(self), _AT_ONCE)]
                return [digest for part in parts for digest in pool.map(_digest, part)]
        except BrokenPicture:
            errors = errors_of(lambda row: _digest(self.pictures[row]), range(len(self)))
            raise BrokenExamples(errors) from None


def _digest(picture: Picture) -> bytes:
    return picture.digest()


def _array(labels: Any, what: str) -> np.ndarray:
    try:
        return np.asarray(labels)
    except ValueError:  # Of lists within that differ in length.
        raise UserError(f"the labels of {what} are no list: give a number for each.") from None


@dataclass(frozen=True, eq=False)
class FeatureSplit:
    """Labelled feature vectors of pictures that need not be at hand.

    Attributes:
      labels: Class of each row, an index into the data set's `classnames`.
      features: As the file holds them, i.e. not necessarily normalised.
      mirrored: The same of the pictures' mirrors, where they are known.
    """

    labels: Int[np.ndarray, "b"]
    features: Float[np.ndarray, "b d"]
    mirrored: Float[np.ndarray, "b d"] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def names(self) -> tuple[str, ...]:
        """What stands for the pictures' names."""
        return tuple(f"row {row}" for row in range(len(self)))

    def take(self, rows: Sequence[int] | Int[np.ndarray, "r"]) -> "FeatureSplit":
        """Return the given rows in the given order."""
        rows = np.asarray(rows, dtype=np.int64)
        mirrored = None if self.mirrored is None else self.mirrored[rows]
        return FeatureSplit(self.labels[rows], self.features[rows], mirrored)

    @cached_property
    def fingerprint(self) -> str:
        """16 hex characters that change with any label, any feature or their order."""
        digest = hashlib.sha256(self.labels.astype("<i8").tobytes())
        for array in (self.features, self.mirrored):
            if array is not None:
                digest.update(f"{array.dtype}{array.shape}".encode())
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]

    @property
    def digests(self) -> list[bytes]:
        """The SHA-256 of each row of features."""
        return [hashlib.sha256(row.tobytes()).digest() for row in self.features]


Split = TypeVar("Split", ImageSplit, FeatureSplit)
