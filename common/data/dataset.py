"""Labelled examples of named classes: data sets, made of splits."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from common.data.checks import distinct_names, require_sound
from common.data.memory import keep
from common.data.passed_over import PassedOver
from common.data.splits import FeatureSplit, ImageSplit
from common.errors import UserError
from common.photos.collection import Photos
from common.weights.fingerprint import text_digest


@dataclass(frozen=True)
class Dataset:
    """Pictures of named classes, in splits that share no picture.

    Attributes:
      name: The data set's own name, for tables.
      classnames: As the source spells them; `names.readable` turns them into words.
      train: For training; `test` is for measurements, `val` (or None) for choices.
      passed_over: What else the source holds.

    Raises:
      UserError: A class has no name, or a label is not one of a class.
    """

    name: str
    classnames: tuple[str, ...]
    train: ImageSplit
    test: ImageSplit
    val: ImageSplit | None = None
    passed_over: tuple[PassedOver, ...] = ()

    def __post_init__(self):
        require_sound(self)

    @classmethod
    def from_arrays(
        cls,
        photos: Photos,
        labels: Any,
        classnames: Any,
        *,
        test: Any = None,
        name: str = "photos",
    ) -> "Dataset":
        """Make a data set of photos that a program holds.

        Args:
          photos: To learn from: PIL images, uint8 arrays `[h, w, 3]` and paths.
          labels: Class of each photo, a whole number that indexes `classnames`.
          classnames: A list of the classes' names, which differ in more than capitals.
          test: Photos to measure on and their labels, as a pair. Without it the config's `holdout`
            says how many of each class are kept for that, the last ones.
          name: For tables.

        Raises:
          UserError: An entry is not a photo, the labels do not fit, there is no photo at all, or
            two classes have one name.
        """
        names = distinct_names(classnames)
        train = ImageSplit.from_arrays(photos, labels, len(names))
        measured = train.take([])
        if test is not None:
            measured = ImageSplit.from_arrays(*_pair(test), len(names), "test photos")
        if not len(train) + len(measured):
            raise UserError("photos is empty: give one or more, and a label for each.")
        return cls(name, names, train, measured)

    @cached_property
    def spec(self) -> str:
        """The string that names this data set in configs of this program, `memory:NAME`."""
        digest = text_digest(self.train.fingerprint + self.test.fingerprint)
        return keep(f"{self.name}-{digest[:8]}", self)


@dataclass(frozen=True)
class FeatureDataset:
    """The same as `Dataset` where only feature vectors of the pictures are known."""

    name: str
    classnames: tuple[str, ...]
    train: FeatureSplit
    test: FeatureSplit
    val: FeatureSplit | None = None
    passed_over: tuple[PassedOver, ...] = ()

    def __post_init__(self):
        require_sound(self)


OpenedDataset = Dataset | FeatureDataset
"""What a dataset string names."""
AnyDataset = TypeVar("AnyDataset", Dataset, FeatureDataset)
"""Of functions that return the kind that they are given."""


def _pair(test: Any) -> Sequence[Any]:
    if not isinstance(test, tuple | list) or len(test) != 2:
        raise UserError("test is not a pair of photos and labels: give test=(photos, labels).")
    return test
