"""Data sets of which only CLIP features are at hand: one npz file."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from common.data.dataset import FeatureDataset, FeatureSplit, hold_out
from common.data.npz import read_npz
from common.errors import UserError


def open_features(path: str, holdout: int) -> FeatureDataset:
    """Opens an npz with `features [N,D]`, `labels [N]` and `classnames [C]`.

    The last `holdout` rows of each class become test, unless the file brings its own parts as
    `train_features`, `train_labels`, `test_features`, `test_labels` (and maybe `val_...`).

    Raises:
      UserError: No such file, an array is missing, or the arrays do not fit each other.
    """
    file = Path(path).expanduser()
    try:
        arrays = read_npz(file)
    except ValueError as error:
        raise UserError(f"the feature file {path!r} cannot be read: {error}.") from error
    classnames = tuple(str(name) for name in _array(file, arrays, "classnames"))
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


def _array(file: Path, arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    if name not in arrays:
        held = ", ".join(sorted(arrays)) or "nothing"
        raise UserError(f"the feature file {file} holds no array {name!r} (it holds {held}).")
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
    if not np.issubdtype(features.dtype, np.floating) or not np.isfinite(features).all():
        raise UserError(f"{prefix}features of {file} must be finite floating-point numbers.")
    if not np.issubdtype(labels.dtype, np.integer):
        raise UserError(f"{prefix}labels of {file} are {labels.dtype}: they must be integers.")
    if labels.size and (labels.min() < 0 or labels.max() >= len(classnames)):
        raise UserError(
            f"{prefix}labels of {file} run from {labels.min()} to {labels.max()}, but count "
            f"the {len(classnames)} classnames from 0."
        )
    return FeatureSplit(labels=labels.astype(np.int64), features=features)
