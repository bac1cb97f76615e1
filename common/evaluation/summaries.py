"""Means over seeds, over data sets, and over base and new classes."""

import math
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence

from common.evaluation.tables import BASE, HARMONIC, NEW, Value


def summarise(numbers: Iterable[float | None]) -> Value:
    """Return the mean and sample standard deviation; none if any of the runs has no number.

    Of a number that all runs share there is no deviation to speak of.
    """
    known = list(numbers)
    if any(number is None or not math.isfinite(number) for number in known):
        return Value(None)
    spread = statistics.stdev(known) if len(set(known)) > 1 else None
    return Value(statistics.fmean(known), spread)


def average(tables: Sequence[Mapping[str, Mapping[str, Value]]]) -> dict[str, dict[str, Value]]:
    """Return the mean over data sets of each metric of each row that all of them have."""
    return {
        row: {
            metric: Value(summarise(table[row][metric].mean for table in tables).mean)
            for metric in values
            if all(metric in table[row] for table in tables)
        }
        for row, values in tables[0].items()
        if all(row in table for table in tables)
    }


def with_harmonic(
    rows: Mapping[str, Mapping[str, Value]],
) -> dict[str, dict[str, Value]]:
    """Add the harmonic mean of base and new after each metric that is known for both.

    `base` and `new` are parts of the metrics' names: `accuracy_new`, `new/accuracy`.
    """
    return {row: _extended(values) for row, values in rows.items()}


def harmonic_mean(base: float | None, new: float | None) -> float | None:
    """Return 2ab / (a + b), 0 if either is 0; None if either is unknown."""
    if base is None or new is None:
        return None
    return 2 * base * new / (base + new) if base + new else 0.0


def _extended(values: Mapping[str, Value]) -> dict[str, Value]:
    extended: dict[str, Value] = {}
    for metric, value in values.items():
        extended[metric] = value
        partner = _renamed(metric, NEW, BASE)
        if partner != metric and partner in values:
            mean = harmonic_mean(values[partner].mean, value.mean)
            extended[_renamed(metric, NEW, HARMONIC)] = Value(mean)
    return extended


def _renamed(metric: str, old: str, new: str) -> str:
    return re.sub(rf"(?<![^/_]){old}(?![^/_])", new, metric)
