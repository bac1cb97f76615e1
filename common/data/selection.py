"""Parts of data sets: rows that are held out, classes that are chosen, halves of them."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from common.data.dataset import AnyDataset
from common.data.splits import Split
from common.errors import UserError
from common.text import counted


def class_counts(labels: Int[np.ndarray, "b"], classes: int) -> Int[np.ndarray, "k"]:
    """Count the examples of each of `classes` classes."""
    return np.bincount(labels, minlength=classes)


def rows_by_class(labels: Int[np.ndarray, "b"], classes: int) -> list[Int[np.ndarray, "r"]]:
    """Return the numbers of each class's rows, ascending."""
    ends = np.cumsum(class_counts(labels, classes))[:-1]
    return np.split(np.argsort(labels, kind="stable"), ends)


def hold_out(
    split: Split, classnames: Sequence[str], holdout: int | None, source: str
) -> tuple[Split, Split]:
    """Split rows into (train, test): the last `holdout` rows of each class are test; None: all.

    Raises:
      UserError: A class would keep no training example.
    """
    if holdout is None:
        return split.take([]), split
    if holdout < 0:
        raise UserError(f"holdout={holdout} is negative: give how many per class to test on.")
    train, test = [], []
    of_class = rows_by_class(split.labels, len(classnames))
    for name, rows in zip(classnames, of_class, strict=True):
        if len(rows) <= holdout:
            raise UserError(
                f"class {name!r} of {source} has {counted(len(rows), 'example')}, too few to hold "
                f"out {holdout} for testing and train on the rest: add some or lower the holdout."
            )
        cut = len(rows) - holdout
        train.append(rows[:cut])
        test.append(rows[cut:])
    return split.take(np.concatenate(train)), split.take(np.concatenate(test))


def select_classes(dataset: AnyDataset, labels: Sequence[int]) -> AnyDataset:
    """Keep the given classes, renumbered 0, 1, ... in the given order."""
    renumbered = np.full(len(dataset.classnames), -1)
    renumbered[list(labels)] = np.arange(len(labels))

    def part(split: Split | None) -> Split | None:
        if split is None:
            return None
        kept = split.take(np.flatnonzero(renumbered[split.labels] >= 0))
        return dataclasses.replace(kept, labels=renumbered[kept.labels])

    return dataclasses.replace(
        dataset,
        classnames=tuple(dataset.classnames[label] for label in labels),
        train=part(dataset.train),
        test=part(dataset.test),
        val=part(dataset.val),
    )


def far_apart(wanted: int, count: int) -> list[int]:
    """Return `wanted` of the numbers below `count`, evenly spaced; all if there are no more."""
    wanted = min(wanted, count)
    return [(2 * n + 1) * count // (2 * wanted) for n in range(wanted)]


def halves(classes: int) -> tuple[range, range]:
    """Return the classes of CoCoOp's base-to-new protocol: the first ceil(K/2) and the rest."""
    middle = (classes + 1) // 2
    return range(middle), range(middle, classes)


def base_new(dataset: AnyDataset) -> tuple[AnyDataset, AnyDataset]:
    """Return a data set's `halves`; both number their classes from 0.

    Raises:
      UserError: A half has fewer than two classes, so that every guess in it would be right.
    """
    base, new = halves(len(dataset.classnames))
    if len(new) < 2:
        raise UserError(
            f"{dataset.name} has {counted(len(dataset.classnames), 'class')}, whose halves are "
            f"{len(base)} base and {len(new)} new: base to new needs two of each, so add classes "
            "or take another protocol."
        )
    return select_classes(dataset, base), select_classes(dataset, new)
