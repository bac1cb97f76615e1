"""Data sets of which only CLIP features are at hand: one npz file."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from common.data.checks import require_features, require_labels, require_names
from common.data.dataset import FeatureDataset
from common.data.feature_folder import open_feature_folder
from common.data.places import is_file, is_folder, local_path
from common.data.selection import hold_out
from common.data.splits import FeatureSplit
from common.errors import UserError
from common.weights.npz import read_npz


def open_features(path: str, holdout: int | None) -> FeatureDataset:
    """Open an npz with `features [N,D]`, `labels [N]` and `classnames [C]`, or a feature folder.

    The last `holdout` rows of each class become test, unless the file brings its own parts as
    `train_features`, `train_labels`, `test_features`, `test_labels` (and maybe `val_...`).
    `mirrored` or `train_mirrored [N,D]` may hold the features of the pictures' mirrors.

    Raises:
      UserError: No such file, an array is missing, or the arrays do not fit each other.
    """
    file = local_path(path)
    if is_folder(file):
        return open_feature_folder(file, holdout)
    arrays = read_feature_file(file)
    classnames = require_names(_array(file, arrays, "classnames"), f"classnames of {file}")
    if "train_features" not in arrays:
        train, test = hold_out(_split(file, arrays, "", classnames), classnames, holdout, str(file))
        return FeatureDataset(file.stem, classnames, train=train, test=test)
    has_val = "val_features" in arrays
    return FeatureDataset(
        name=file.stem,
        classnames=classnames,
        train=_split(file, arrays, "train_", classnames),
        test=_split(file, arrays, "test_", classnames),
        val=_split(file, arrays, "val_", classnames) if has_val else None,
    )


def read_feature_file(file: Path) -> dict[str, np.ndarray]:
    """Read all arrays of an npz file that somebody else made.

    Raises:
      UserError: It is missing, damaged or something else.
    """
    try:
        if not is_file(file):
            raise ValueError("it is missing, or not a file")
        return read_npz(file)
    except ValueError as error:
        raise UserError(
            f"the feature file {str(file)!r} cannot be read: {error}; write it with np.savez."
        ) from error


def _array(file: Path, arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    if name not in arrays:
        held = ", ".join(sorted(arrays)) or "nothing"
        raise UserError(
            f"the feature file {file} holds no array {name!r} (it holds {held}): add it."
        )
    return arrays[name]


def _split(
    file: Path, arrays: Mapping[str, np.ndarray], prefix: str, classnames: tuple[str, ...]
) -> FeatureSplit:
    features = _array(file, arrays, f"{prefix}features")
    labels = _array(file, arrays, f"{prefix}labels")
    if features.ndim != 2 or labels.shape != features.shape[:1]:
        raise UserError(
            f"{prefix}features {features.shape} and {prefix}labels {labels.shape} of {file} do "
            "not fit: they must be [N,D] and [N]."
        )
    features = require_features(features, f"{prefix}features of {file}")
    labels = require_labels(labels, len(classnames), f"{prefix}labels of {file}")
    mirrored = arrays.get(f"{prefix}mirrored")
    if mirrored is not None:
        mirrored = require_features(mirrored, f"{prefix}mirrored of {file}")
        if mirrored.shape != features.shape:
            raise UserError(
                f"{prefix}mirrored {mirrored.shape} and {prefix}features {features.shape} of "
                f"{file} do not fit: they must have the same shape."
            )
    return FeatureSplit(labels, features, mirrored)
