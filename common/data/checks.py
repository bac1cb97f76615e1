"""What every data set has to keep to, whatever opened it: labels, names and features."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from common.clip.prompts import require_texts
from common.errors import UserError
from common.finite import is_finite
from common.names import readable, told_apart
from common.text import counted

_HIDDEN = -1
_BLOCK = 2**16  # rows
_PARTS = ("train", "test", "val")


def require_sound(dataset: Any) -> None:
    """Refuse a data set that no opener may give.

    Raises:
      UserError: A class has no name or one that is not text, or a label is not one of a class.
    """
    for number, name in enumerate(dataset.classnames):
        if not is_text(name):
            raise UserError(f"the class name {name!a} of {dataset.name} is not text: rename it.")
        if not readable(name):
            raise UserError(
                f"class number {number} of {dataset.name} has no name ({name!r}): give it one."
            )
    for part in _PARTS:
        split = getattr(dataset, part)
        if split is not None:
            require_labels(
                split.labels, len(dataset.classnames), f"the {part} labels of {dataset.name}"
            )


def is_text(name: Any) -> bool:
    """Return whether UTF-8 can hold a name, and a file system a part of it."""
    try:
        return isinstance(name, str) and b"\0" not in name.encode("utf-8")
    except UnicodeEncodeError:
        return False


def distinct_names(names: Any) -> tuple[str, ...]:
    """Return the names of classes that a program gives; folders of classes keep to the same.

    Raises:
      UserError: They are not a list of texts, there are none, or two differ in capitals at most.
    """
    names = require_texts(names, "classnames")
    if not names:
        raise UserError("classnames is empty: give the name of each class.")
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        if (first := places.setdefault(told_apart(name), place)) != place:
            raise UserError(
                f"classnames[{first}], {names[first]!r}, and classnames[{place}], {name!r}, differ "
                "in capitals at most: give the photos of both one label, or rename one."
            )
    return names


def require_labels(
    labels: np.ndarray, classes: int, where: str, what: str = "classes"
) -> Int[np.ndarray, "b"]:
    """Return labels, which number classes or other things, as int64.

    Args:
      labels: As a file holds them.
      classes: How many there are to choose from.
      where: Names them and their file.
      what: They number, in the plural.

    Raises:
      UserError: They are not a list of whole numbers from 0 to below `classes`.
    """
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise UserError(
            f"{where} are {labels.dtype} of shape {labels.shape}: they must be "
            "integers, one for each row."
        )
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        low, high = int(labels.min()), int(labels.max())
        remedy = f"mend or leave out {counted(len(wrong), 'row')}, the first is row {wrong[0]}"
        if (low, high) == (1, classes):
            remedy = "subtract 1"
        hidden = " (-1 stands for a label that nobody published)" if _HIDDEN in labels else ""
        raise UserError(
            f"{where} run from {low} to {high}, but count the {classes} {what} from 0{hidden}: "
            f"{remedy}."
        )
    return labels.astype(np.int64)


def require_features(features: np.ndarray, where: str) -> Float[np.ndarray, "b d"]:
    """Return features of which each row has a direction.

    Args:
      features: As a file holds them.
      where: Names the array and its file.

    Raises:
      UserError: They are not rows of finite floating-point numbers, or a row is zero.
    """
    if features.ndim != 2 or not features.shape[1]:
        raise UserError(f"{where} has the shape {features.shape}: it must be [N,D].")
    features = features.astype(features.dtype.newbyteorder("="), copy=False)
    if features.dtype not in (np.float16, np.float32, np.float64):
        raise UserError(
            f"{where} is {features.dtype}: it must be floating-point, i.e. float16, 32 or 64."
        )
    if not is_finite(features):
        row = int(np.flatnonzero(~np.isfinite(features).all(axis=1))[0])
        raise UserError(
            f"{where} must be finite, but row {row} holds NaN or infinity: encode it again."
        )
    for start in range(0, len(features), _BLOCK):
        # In the arithmetic that will divide by it.
        length = np.linalg.norm(features[start : start + _BLOCK].astype(np.float32), axis=1)
        if wrong := np.flatnonzero((length == 0) | ~np.isfinite(length)).tolist():
            raise UserError(
                f"row {start + wrong[0]} of {where} has the length {length[wrong[0]]}, so it has "
                "no direction to compare: encode it again or leave it out."
            )
    return features


def require_names(names: np.ndarray, where: str) -> tuple[str, ...]:
    """Return the names of classes.

    Raises:
      UserError: They are not a list of texts.
    """
    if names.ndim != 1 or names.dtype.kind != "U":
        raise UserError(
            f"{where} is {names.dtype} of shape {names.shape}: it must be a list of texts, such as "
            "np.array(['cat', 'dog'])."
        )
    return tuple(str(name) for name in names)
