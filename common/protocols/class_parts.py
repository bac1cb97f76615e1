"""Classes that compete with each other: all of a data set, or its base half and its new half."""

import numpy as np
from jaxtyping import Int

from common.choices import check_choice
from common.data import base_new
from common.data.dataset import AnyDataset
from common.data.selection import halves
from common.protocols.table import BASE_TO_NEW

BASE, NEW = "base/", "new/"
"""Prefixes of metrics."""


def class_parts(subsample: str, classes: int) -> dict[str, Int[np.ndarray, "k"]]:
    """Return the classes that compete with each other, by the prefix of their metrics.

    The first part is the one that is trained on.

    Raises:
      UserError: `subsample` is unknown.
    """
    base, new = (np.array(half, int) for half in halves(classes))
    parts = {"all": {"": np.arange(classes)}, "base": {BASE: base, NEW: new}, "new": {NEW: new}}
    check_choice("subsample", subsample, parts)
    return parts[subsample]


def learned_classes(subsample: str, classes: int) -> Int[np.ndarray, "k"]:
    """Return the first of the parts: the classes that are trained on."""
    return next(iter(class_parts(subsample, classes).values()))


def dataset_parts(dataset: AnyDataset, protocol: str) -> dict[str, AnyDataset]:
    """Return the same as data sets, by the prefix: halves for base to new, else the whole.

    Raises:
      UserError: A half has fewer than two classes.
    """
    return (
        dict(zip((BASE, NEW), base_new(dataset), strict=True))
        if protocol == BASE_TO_NEW
        else {"": dataset}
    )
