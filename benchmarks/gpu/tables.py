"""The tables of `benchmarks.on_gpu`, as docs/speed.md shows them."""

from collections.abc import Mapping
from numbers import Real
from typing import Any

from common.evaluation.tables import markdown_table


def show(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a section for each part: its table, its notes, and what went wrong."""
    sections = [_section(entry) for entry in results.values()]
    places = dict.fromkeys(entry["where"] for entry in results.values() if "where" in entry)
    return "\n\n".join([*sections, *(f"({place})" for place in places)]) + "\n"


def _section(entry: Mapping[str, Any]) -> str:
    parts = [f"### {entry['title']}"]
    if entry["rows"]:
        columns = list(dict.fromkeys(name for row in entry["rows"] for name in row))
        rows = [[_cell(row.get(name)) for name in columns] for row in entry["rows"]]
        parts.append(markdown_table(columns, rows))
    parts += entry["notes"]
    if "error" in entry:
        parts.append(f"Not finished: {entry['error']}.")
    return "\n\n".join(parts)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Real) and not isinstance(value, int):
        return f"{value:.1e}" if abs(value) < 1e-3 else f"{value:#.3g}".rstrip(".")
    return str(value)
