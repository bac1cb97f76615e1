"""Tables of numbers that read well both in a terminal and as Markdown."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from common.progress import say
from common.text import printable

# What a metric's name says when it is about half of the classes, or the mean of both halves.
HALVES = BASE, NEW, HARMONIC = ("base", "new", "harmonic")

LARGEST = 1e12
"""From here on numbers are written with an exponent."""

# What begins code, HTML or a link, and a backslash that would be taken for an escape.
_ACTIVE = re.compile(r"[`<\[]|\\(?=[!-/:-@\[-`{-~])")


@dataclass(frozen=True)
class Value:
    """A number of a table: one run's, or the mean of several.

    Attributes:
      mean: The number; None where there is none.
      spread: Standard deviation over runs; None where there was but one.
    """

    mean: float | None
    spread: float | None = None

    def show(self, share: bool, count: bool = False) -> str:
        """Return the number, with ± its spread; a dash for none.

        Shares are shown in percent, counts without decimals.
        """
        if self.mean is None or not math.isfinite(self.mean):
            return "-"
        factor, digits = (100, 1) if share else (1, 0 if count else 3)
        form = f".{digits}f" if abs(factor * self.mean) < LARGEST else ".4g"
        shown = f"{factor * self.mean:{form}}"
        return shown if self.spread is None else f"{shown} ± {factor * self.spread:{form}}"


def print_table(result: Mapping[str, Any]) -> None:
    """Say what `result.json` holds: the method's metrics, and its baselines' below them."""
    beside = f" with {result['model']}" if result["model"] else ""  # None of features alone.
    say(f"{result['method']} on {result['dataset']}{beside}")
    say(metrics_tables(value_rows(result)))


def result_rows(result: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
    """Return the metrics of the method and of each of its baselines, by name.

    A baseline is `{metric: number}`, or one number, which is then its accuracy.

    Raises:
      TypeError: A metric is neither a number nor None.
    """
    baselines = {
        name: metrics if isinstance(metrics, Mapping) else {"accuracy": metrics}
        for name, metrics in result["baselines"].items()
    }
    method = result["method"]
    named = {f"{method} (baseline)" if name == method else name: x for name, x in baselines.items()}
    return {
        row: {metric: _number(f"{metric} of {row}", value) for metric, value in metrics.items()}
        for row, metrics in {method: result["metrics"], **named}.items()
    }


def value_rows(result: Mapping[str, Any]) -> dict[str, dict[str, Value]]:
    """Return what `result_rows` does, for tables; a single run's numbers have no spread."""
    return {
        name: {metric: Value(number) for metric, number in metrics.items()}
        for name, metrics in result_rows(result).items()
    }


def _number(name: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} is {value!r}, which is not a number")
    return float(value)


Table = tuple[list[str], list[list[str]]]
"""A header and the rows below it."""


def metrics_tables(rows: Mapping[str, Mapping[str, Value]]) -> str:
    """Return the tables of `metric_groups` as Markdown."""
    return "\n\n".join(
        markdown_table(
            [*map(escaped, header)], [[escaped(name), *numbers] for name, *numbers in body]
        )
        for header, body in metric_groups(rows)
    )


def metric_groups(rows: Mapping[str, Mapping[str, Value]]) -> list[Table]:
    """Return tables with a row per method or baseline and a column per metric.

    Metrics called `group/name` get a table for each group, with the rows that have any of it;
    only halves of the classes stand side by side, and groups that hold one and the same metric,
    such as the accuracies on several data sets. A group of one share, the accuracy on a single
    further data set, has the heading of several.
    """
    groups: dict[str, list[str]] = {}
    for metric in dict.fromkeys(metric for metrics in rows.values() for metric in metrics):
        group = metric.rpartition("/")[0]
        groups.setdefault("" if group in HALVES else group, []).append(metric)
    alone = {
        group: metrics[0].rpartition("/")[2]
        for group, metrics in groups.items()
        if group and len(metrics) == 1
    }
    tables = []
    for group, metrics in groups.items():
        alike = [other for other, name in alone.items() if name == alone.get(group)]
        if len(alike) < 2 and not is_share(alone.get(group, "")):
            columns = {metric: heading(metric.removeprefix(f"{group}/")) for metric in metrics}
            tables.append(_table(group or "method", columns, rows))
        elif group == alike[0]:
            columns = {f"{other}/{alone[group]}": other for other in alike}
            tables.append(_table(heading(alone[group]), columns, rows))
    return tables


def _table(
    corner: str, columns: Mapping[str, str], rows: Mapping[str, Mapping[str, Value]]
) -> Table:
    body = [
        [name, *(values.get(m, Value(None)).show(is_share(m), is_count(m)) for m in columns)]
        for name, values in rows.items()
        if any(metric in values for metric in columns)
    ]
    return [corner, *columns.values()], body


def heading(name: str) -> str:
    """Return the heading of a metric's column."""
    words = name.replace("/", " ").replace("_", " ")
    return f"{words} (%)" if is_share(name) else words


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with aligned columns, numbers to the right.

    Whatever the cells hold, the table keeps its shape; `escaped` takes the meaning out of Markdown
    that others wrote.
    """
    cells = [[printable(cell).replace("|", "\\|") for cell in row] for row in (header, *rows)]
    columns = list(zip(*cells, strict=True))
    widths = [max(3, *map(len, column)) for column in columns]
    numeric = [all(map(is_number, column[1:])) for column in columns]
    rule = [
        "-" * (width - 1) + (":" if right else "-")
        for width, right in zip(widths, numeric, strict=True)
    ]

    def line(row: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ]
        return f"| {' | '.join(padded)} |"

    return "\n".join(line(row) for row in (cells[0], rule, *cells[1:]))


def escaped(text: str) -> str:
    """Return Markdown that shows `text` as it is: no code, no link, no picture, no HTML."""
    return _ACTIVE.sub(r"\\\g<0>", text)


def is_number(cell: str) -> bool:
    """Return whether a cell stands to the right: a number, or a dash in its place."""
    return cell[:1] in set("-0123456789")


def is_share(metric: str) -> bool:
    """Return whether a metric is a number in [0, 1] that papers print in percent."""
    return "accuracy" in metric or "recall_at" in metric


def is_count(metric: str) -> bool:
    """Return whether a metric is a whole number."""
    return metric.rpartition("/")[2] == "parameters"
