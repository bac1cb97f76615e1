"""Choosing among runs that were trained together, and the table of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from common.evaluation.summaries import summarise
from common.evaluation.tables import Value, heading, is_share, markdown_table
from protext_jax.runs import RunSetting
from protext_jax.signals import rank


def choose(runs: Sequence[RunSetting], metrics: Sequence[Mapping[str, float]]) -> int:
    """Return the number of the run to keep: its setting does best on held-out sentences.

    No picture has a say. Without held-out sentences the first run is kept.
    """
    settings = _by_setting(runs)

    def score(rows: Sequence[int]) -> tuple[float, ...]:
        return tuple(np.mean([rank(metrics[row]) for row in rows], axis=0))

    # `max` keeps the first of equals.
    return max(settings.values(), key=score)[0]


def check_choice_of_runs(runs: Sequence[RunSetting], held_out: int) -> list[str]:
    """Return a line where nothing tells the settings of a sweep apart.

    Args:
      runs: Of the sweep.
      held_out: Sentences that the settings are compared on.
    """
    settings = len(_by_setting(runs))
    if settings == 1 or held_out:
        return []
    return [
        f"sweep: no sentence is held out, so the first of the {settings} settings is kept, "
        "whatever they come to: give held_out=1 or more to choose among them."
    ]


def sweep_table(runs: Sequence[RunSetting], result: Mapping[str, Any]) -> str:
    """Return a row per setting: mean and spread over its seeds; the chosen one bears a star."""
    metrics, chosen = result["details"]["sweep"], result["details"]["chosen"]
    names = list(metrics[0])
    rows = []
    for (rate, epochs), numbers in _by_setting(runs).items():
        values: list[Value] = [summarise(metrics[row][name] for row in numbers) for name in names]
        cells = [value.show(is_share(name)) for name, value in zip(names, values, strict=True)]
        rows.append([f"{rate:g}", str(epochs), *cells, "*" if chosen in numbers else ""])
    heads = [heading(name) for name in names]
    return markdown_table(["learning rate", "epochs", *heads, "chosen"], rows)


def _by_setting(runs: Sequence[RunSetting]) -> dict[tuple[float, int], list[int]]:
    """Return numbers of the runs that differ in nothing but the seed, in order."""
    settings: dict[tuple[float, int], list[int]] = {}
    for number, run in enumerate(runs):
        settings.setdefault((run.learning_rate, run.epochs), []).append(number)
    return settings
