"""Parts of data sets that are measured on, or on which nothing can be measured."""

from collections.abc import Sequence

import numpy as np

from common.data.dataset import AnyDataset, OpenedDataset
from common.data.selection import select_classes
from common.errors import UserError
from common.protocols.class_parts import BASE, NEW


def fault(classes: int, photos: int, called: str = "photos") -> str:
    """Return why nothing can be measured on so many; "" where something can.

    Args:
      classes: That compete.
      photos: Of these classes.
      called: As the method calls them.
    """
    if classes < 2:
        return f"has {classes or 'no'} class to choose from"
    return "" if photos else f"has no test {called}"


def idle_line(data: str, prefix: str, reason: str) -> str:
    """Return what a run says of a part of its own data set with a fault.

    Args:
      data: The data set's string.
      prefix: Of the part's metrics, e.g. "new/", or "".
      reason: The fault.
    """
    part = f" ({prefix[:-1]} classes)" if prefix else ""
    return f"{data}{part} {reason}: nothing is measured on it."


def target_prefix(dataset: OpenedDataset) -> str:
    """Return the prefix of the metrics of a further data set."""
    return f"{dataset.name.removeprefix('pocket:').replace('/', '-')}/"


def require_distinct(prefix_of: Sequence[tuple[str, str]]) -> None:
    """Refuse further data sets of one name, whose metrics would overwrite each other.

    Args:
      prefix_of: The string of each data set and the prefix of its metrics.

    Raises:
      UserError: Two have one prefix, or one has that of a half of the run's own classes.
    """
    taken = dict.fromkeys((BASE, NEW), "a half of the run's own classes")
    for spec, prefix in prefix_of:
        if prefix in taken:
            raise UserError(
                f"targets: {spec} and {taken[prefix]} would both be measured as "
                f"{prefix[:-1]!r}: name each once, and rename a folder of the same name."
            )
        taken[prefix] = spec


def measurable(
    spec: str, dataset: AnyDataset, *, shown_alone: bool, called: str = "photos"
) -> AnyDataset:
    """Return a further data set over those of its classes that compete.

    Args:
      spec: Its string.
      dataset: As it was opened.
      shown_alone: Only classes with test photos compete: ImageNet-A and -R show 200 of
        ImageNet's.
      called: As of `fault`.

    Raises:
      UserError: Nothing can be measured on it.
    """
    if shown_alone:
        dataset = select_classes(dataset, np.unique(dataset.test.labels).tolist())
    if reason := fault(len(dataset.classnames), len(dataset.test), called):
        raise UserError(
            f"{spec} {reason}, so nothing can be measured on it: name another data set."
        )
    return dataset
