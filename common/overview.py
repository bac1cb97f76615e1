"""The report on finished runs as text: tables by data set and model, averages, the runs."""

from collections.abc import Mapping, Sequence

from common.evaluation.summaries import average, summarise, with_harmonic
from common.evaluation.tables import (
    Value,
    escaped,
    markdown_table,
    metrics_tables,
    result_rows,
)
from common.runs import Run, group_runs
from common.text import printable


def report(runs: Sequence[Run]) -> str:
    """Return the report on `runs` as Markdown.

    Raises:
      UserError: Two runs are the same but for their folder.
    """
    chapters: dict[tuple[str, str], dict[str, dict[str, Value]]] = {}
    groups = group_runs(runs)
    for (dataset, model, label), group in groups.items():
        rows = chapters.setdefault((dataset, model), {})
        for name, values in _summary(group).items():
            # Baselines of several methods are distinguished only where they differ.
            row = label if name == group[0].result["method"] else name
            if rows.get(row, values) != values:
                row = f"{row} (beside {label})"
            rows[row] = values
    parts = [
        "# Results",
        "Mean ± standard deviation over seeds; a number alone is one run's, or the same in all.",
    ]
    for (dataset, model), rows in chapters.items():
        parts.extend([f"## {_line(dataset)}{_with(model)}", metrics_tables(with_harmonic(rows))])
    parts.extend(_averages(chapters))
    parts.extend(["## Runs", _run_table(groups)])
    return "\n\n".join(parts) + "\n"


def _summary(group: Sequence[Run]) -> dict[str, dict[str, Value]]:
    """Return mean and spread over the runs of a group, for the method and its baselines."""
    results = [result_rows(run.result) for run in group]
    return {
        row: {
            metric: summarise(result.get(row, {}).get(metric) for result in results)
            for metric in dict.fromkeys(m for result in results for m in result.get(row, {}))
        }
        for row in dict.fromkeys(row for result in results for row in result)
    }


def _averages(
    chapters: Mapping[tuple[str, str], Mapping[str, Mapping[str, Value]]],
) -> list[str]:
    """Return tables of the mean over the data sets of each model that has several."""
    parts = []
    for model in dict.fromkeys(model for _, model in chapters):
        tables = [rows for (_, name), rows in chapters.items() if name == model]
        if len(tables) < 2:
            continue
        rows = average(tables)
        if rows:
            title = f"## Average over {len(tables)} data sets{_with(model)}"
            parts.extend([title, metrics_tables(with_harmonic(rows))])
    return parts


def _with(model: str) -> str:
    return f", model {_line(model)}" if model else ""


def _line(text: str) -> str:
    return escaped(printable(text))


def _run_table(groups: Mapping[tuple[str, str, str], Sequence[Run]]) -> str:
    rows = [
        [
            escaped(str(run.folder)),
            escaped(label),
            escaped(dataset),
            str(run.result["seed"]),
            Value(run.result.get("seconds")).show(share=False),
        ]
        for (dataset, _, label), group in groups.items()
        for run in group
    ]
    return markdown_table(["folder", "method", "data set", "seed", "seconds"], rows)
