"""Choosing k examples of each class."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from common.data.selection import class_counts, rows_by_class
from common.data.splits import Split
from common.errors import UserError
from common.text import some


def few_shot(split: Split, shots: int, seed: int) -> Split:
    """Draw `shots` examples of each class without replacement, class by class.

    A class that has fewer keeps all it has, so `shots` is nominal (`shortfall` tells which).
    The draw of a class depends on the seed, the label and the number of its examples alone, and
    fewer shots of one seed are the beginning of more shots.

    Raises:
      UserError: There is nothing to draw from, or a number is out of range.
    """
    if shots < 1:
        raise UserError(f"shots={shots} leaves nothing to learn from: give 1 or more.")
    if seed < 0:
        raise UserError(f"seed={seed} is negative: give 0 or more.")
    if not len(split):
        raise UserError("there are no examples to learn from: give a data set with a train part.")
    chosen = []
    for label, rows in enumerate(rows_by_class(split.labels, int(split.labels.max()) + 1)):
        order = np.random.default_rng((seed, label)).permutation(len(rows))
        chosen.append(rows[order[:shots]])
    return split.take(np.concatenate(chosen))


def shortfall(split: Split, shots: int, classnames: Sequence[str]) -> dict[str, int]:
    """Return the classes with fewer than `shots` examples, and how many they have."""
    counts = class_counts(split.labels, len(classnames))
    return {name: int(n) for name, n in zip(classnames, counts, strict=True) if n < shots}


def shortfall_row(split: Split, shots: int, classnames: Sequence[str]) -> dict[str, str]:
    """Return the row of a run's first table about a shortfall; none where there is no shortfall.

    Args:
      split: What a run learns from.
      shots: Of each class; 0 for all, of which there is to be one.
      classnames: Of all classes; an empty name stands for a class that is not learned.
    """
    fewer = shortfall(split, max(shots, 1), classnames)
    named = [f"{name} {count}" for name, count in fewer.items() if name]
    return {"fewer": f"{some(named, show=str)} in place of {max(shots, 1)}"} if named else {}


@dataclass(frozen=True, eq=False)
class ClassRows:
    """Rows of each class, padded to the largest class.

    Attributes:
      rows: Row numbers; entries beyond `counts` repeat the class's first row.
      counts: How many rows each class really has.
    """

    rows: Int[np.ndarray, "k s"]
    counts: Int[np.ndarray, "k"]


def class_rows(labels: Int[np.ndarray, "b"], classes: int) -> ClassRows:
    """Group rows by class, for drawing `rows[k, floor(u * counts[k])]` on the device.

    Raises:
      UserError: A class has no rows.
    """
    counts = class_counts(labels, classes)
    if not counts.all():
        raise UserError(f"class number {int(np.argmin(counts))} has no examples: add some.")
    rows = np.empty((classes, counts.max()), dtype=np.int64)
    for label, members in enumerate(rows_by_class(labels, classes)):
        rows[label] = members[0]
        rows[label, : len(members)] = members
    return ClassRows(rows=rows, counts=counts)
