"""Timing several things side by side, so that a busy moment of the machine meets them all."""

import statistics
import time
from collections.abc import Callable, Mapping


def rates(parts: Mapping[str, Callable[[], object]], seconds: float, repeats: int) -> dict:
    """Return calls per second, by name: medians over rounds in which all parts take turns.

    Args:
      parts: Each is called once before anything is timed; a call returns when its work is done.
      seconds: Least time of one measurement, which is at least one call.
      repeats: Rounds.
    """
    for part in parts.values():
        part()
    speeds: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(repeats):
        for name, part in parts.items():
            count, started = 0, time.perf_counter()
            while not count or time.perf_counter() - started < seconds:
                part()
                count += 1
            speeds[name].append(count / (time.perf_counter() - started))
    return {name: statistics.median(values) for name, values in speeds.items()}
