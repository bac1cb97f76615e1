"""Paper-style tables of finished runs.

    python -m common.report DIR... --out=FILE.md
    python -m common.report --html=DIR

Runs of one method, model and data set that differ in nothing but the seed share a row: mean and
standard deviation (n - 1) over seeds. Base and new classes also get their harmonic mean, taken
of the averages as CoOp's successors do. Several data sets get a table of their average. `--html`
writes `DIR/report.html` about one run: its tables, curves, pictures and settings in one file.

For example:

    python -m common.report runs/seed0 runs/seed1 runs/seed2 --out=report.md
    python -m common.report --html=runs/mcti
"""

from collections.abc import Mapping, Sequence

from absl import flags

from common.errors import UserError, run_command
from common.evaluation.summaries import average, summarise, with_harmonic
from common.evaluation.tables import (
    Value,
    markdown_table,
    metrics_tables,
    plain,
    result_rows,
)
from common.files import atomic_write
from common.page import write_page
from common.paths import as_output, as_path
from common.runs import Run, group_runs, read_run
from common.text import printable
from common.training import say


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("out", None, "Markdown file to write.")
    flags.DEFINE_string("html", None, "Folder of a run, whose page is to be written.")


def main(argv: Sequence[str]) -> None:
    """Read the runs, write the report and print it, or write the page of one run."""
    options, folders = flags.FLAGS, argv[1:]
    text, out = "", None
    # Whatever is read and refused, nothing is written before.
    shown = read_run(as_path(options.html)) if options.html else None
    if folders or options.out or shown is None:
        if not options.out:
            raise UserError("missing --out: say where the report goes, --out=FILE.md.")
        if not folders:
            raise UserError("no runs to report on: name their folders, DIR...")
        out = as_output(options.out, "--out")
        text = report([read_run(as_path(folder)) for folder in folders])
    if shown is not None:
        say(f"wrote {write_page(shown.folder, shown.result, shown.config)}")
    if out is not None:
        with atomic_write(out) as path:
            path.write_text(text, encoding="utf-8")
        print(text, end="")


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
        parts.extend(
            [f"## {_line(dataset)}, model {_line(model)}", metrics_tables(with_harmonic(rows))]
        )
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
            title = f"## Average over {len(tables)} data sets, model {_line(model)}"
            parts.extend([title, metrics_tables(with_harmonic(rows))])
    return parts


def _line(text: str) -> str:
    return plain(printable(text))


def _run_table(groups: Mapping[tuple[str, str, str], Sequence[Run]]) -> str:
    rows = [
        [
            plain(str(run.folder)),
            plain(label),
            plain(dataset),
            str(run.result["seed"]),
            Value(run.result.get("seconds")).show(share=False),
        ]
        for (dataset, _, label), group in groups.items()
        for run in group
    ]
    return markdown_table(["folder", "method", "data set", "seed", "seconds"], rows)


if __name__ == "__main__":
    run_command(main, define_flags, positional=True)
