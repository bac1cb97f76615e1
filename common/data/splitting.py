"""Splits of a data set of one's own: seeded, alike in all classes, near-duplicates together."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int


def stratified_parts(
    labels: Int[np.ndarray, "n"],
    groups: Int[np.ndarray, "n"],
    shares: Mapping[str, float],
    seed: int,
) -> dict[str, Int[np.ndarray, "m"]]:
    """Return the rows of each part.

    Every group goes to one part as a whole. The largest groups come first, each to the part that
    lacks most of the group's classes, as a share of what it is to have.

    Args:
      labels: Class of each row.
      groups: Rows of one number stay together.
      shares: What each part is to have of every class; parts that come first win a tie.
      seed: Of the order in which groups of one size come.
    """
    classes = int(labels.max()) + 1
    counts = np.bincount(labels, minlength=classes)
    wanted = np.array([share * counts for share in shares.values()])  # [parts, classes]
    placed = np.zeros_like(wanted)
    part_of = np.zeros(len(labels), int)
    for rows in _in_order(groups, seed):
        members = labels[rows]
        lacking = ((wanted - placed) / np.maximum(wanted, 1e-9))[:, members].sum(axis=1)
        part = int(np.argmax(lacking))
        np.add.at(placed[part], members, 1)
        part_of[rows] = part
    return {name: np.flatnonzero(part_of == part) for part, name in enumerate(shares)}


def _in_order(groups: Int[np.ndarray, "n"], seed: int) -> Sequence[Int[np.ndarray, "m"]]:
    """Return the rows of each group, large groups first, those of one size as the seed says."""
    rows_of: dict[int, list[int]] = {}
    for row in np.random.default_rng(seed).permutation(len(groups)):
        rows_of.setdefault(int(groups[row]), []).append(int(row))
    return [np.array(rows) for rows in sorted(rows_of.values(), key=len, reverse=True)]
