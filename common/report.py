"""Paper-style tables of finished runs.

    python -m common.report DIR... --out=FILE.md

Runs of one method, model and data set that differ in nothing but the seed share a row: mean and
standard deviation (n - 1) over seeds. Base and new classes also get their harmonic mean, which is
taken of the averages, as CoOp's successors do. Several data sets get a table of their average.
"""

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from absl import flags

from common.config import flatten
from common.errors import UserError, run_command
from common.evaluation.tables import Value, markdown_table, metrics_tables, result_rows
from common.files import atomic_write
from common.training.workdir import HARMLESS

REQUIRED = ("method", "dataset", "model", "seed", "metrics", "baselines")
# Parts of a metric's name that say which half of the classes it is about, and the mean of both.
BASE, NEW, HARMONIC = "base", "new", "harmonic"


@dataclass(frozen=True)
class Run:
    """One finished run.

    Attributes:
      folder: Where it lies.
      result: What its `result.json` holds.
      config: Its `config.json` by dotted name; empty where there is none.
    """

    folder: Path
    result: Mapping[str, Any]
    config: Mapping[str, Any]


def define_flags() -> None:
    """The command's options."""
    flags.DEFINE_string("out", None, "Markdown file to write.")


def main(argv: Sequence[str]) -> None:
    """Reads the runs, writes the report and prints it."""
    if not flags.FLAGS.out:
        raise UserError("missing --out: say where the report goes, --out=FILE.md.")
    if len(argv) < 2:
        raise UserError("no runs to report on: name their folders, DIR...")
    text = report([read_run(Path(folder)) for folder in argv[1:]])
    with atomic_write(flags.FLAGS.out) as path:
        path.write_text(text, encoding="utf-8")
    print(text, end="")


def read_run(folder: Path) -> Run:
    """Reads a finished run.

    Raises:
      UserError: There is no `result.json`, or it lacks what every method writes.
    """
    result = _read_json(folder / "result.json", f"{folder} holds no finished run")
    missing = [name for name in REQUIRED if name not in result]
    if missing:
        raise UserError(f"{folder / 'result.json'} lacks {', '.join(missing)}: train again.")
    for name, metrics in result_rows(result).items():
        for metric, value in metrics.items():
            if isinstance(value, bool) or not isinstance(value, int | float | None):
                raise UserError(f"{folder / 'result.json'}: {metric} of {name} is no number.")
    config = folder / "config.json"
    return Run(folder, result, flatten(_read_json(config, "")) if config.exists() else {})


def _read_json(path: Path, absent: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{absent}: there is no {path}.") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}.") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no JSON object.")
    return content


def report(runs: Sequence[Run]) -> str:
    """The report on `runs` as Markdown.

    Raises:
      UserError: Two runs are the same but for their folder.
    """
    chapters: dict[tuple[str, str], dict[str, dict[str, Value]]] = {}
    groups = _group(runs)
    for (dataset, model, label), group in groups.items():
        rows = chapters.setdefault((dataset, model), {})
        for name, values in _summary(group).items():
            # Baselines of several methods are told apart only where they differ.
            row = label if name == group[0].result["method"] else name
            if rows.get(row, values) != values:
                row = f"{row} (beside {label})"
            rows[row] = values
    parts = ["# Results", "Mean ± standard deviation over seeds; a single number is one run."]
    for (dataset, model), rows in chapters.items():
        parts.extend([f"## {dataset}, model {model}", metrics_tables(_with_harmonic(rows))])
    parts.extend(_averages(chapters))
    parts.extend(["## Runs", _run_table(groups)])
    return "\n\n".join(parts) + "\n"


def _group(runs: Sequence[Run]) -> dict[tuple[str, str, str], list[Run]]:
    """Groups runs by (data set, model, row label) and sorts each group by seed."""
    families: dict[tuple[str, str, str], list[Run]] = {}
    for run in runs:
        key = run.result["dataset"], run.result["model"], run.result["method"]
        families.setdefault(key, []).append(run)
    groups: dict[tuple[str, str, str], list[Run]] = {}
    for (dataset, model, method), family in families.items():
        differing = _differing_fields(family)
        for run in family:
            settings = ", ".join(f"{name}={run.config.get(name)}" for name in differing)
            label = f"{method} ({settings})" if settings else method
            groups.setdefault((dataset, model, label), []).append(run)
    for group in groups.values():
        group.sort(key=lambda run: run.result["seed"])
        for run, other in zip(group, group[1:], strict=False):
            if run.result["seed"] == other.result["seed"]:
                raise UserError(
                    f"{run.folder} and {other.folder} are the same run, seed "
                    f"{run.result['seed']}: name one of them."
                )
    return groups


def _differing_fields(family: Sequence[Run]) -> list[str]:
    names = sorted({name for run in family for name in run.config})
    return [
        name
        for name in names
        if name not in (*HARMLESS, "seed")
        and len({json.dumps(run.config.get(name)) for run in family}) > 1
    ]


def _summary(group: Sequence[Run]) -> dict[str, dict[str, Value]]:
    """Mean and spread over the runs of a group, for the method and each of its baselines."""
    results = [result_rows(run.result) for run in group]
    return {
        row: {
            metric: summarise(result.get(row, {}).get(metric) for result in results)
            for metric in dict.fromkeys(m for result in results for m in result.get(row, {}))
        }
        for row in dict.fromkeys(row for result in results for row in result)
    }


def summarise(numbers: Iterable[float | None]) -> Value:
    """Mean and sample standard deviation; none if any of the runs has no number."""
    known = list(numbers)
    if any(number is None or not math.isfinite(number) for number in known):
        return Value(None)
    spread = statistics.stdev(known) if len(known) > 1 else None
    return Value(statistics.fmean(known), spread)


def _with_harmonic(
    rows: Mapping[str, Mapping[str, Value]],
) -> dict[str, dict[str, Value]]:
    """Adds the harmonic mean of base and new after each metric that has both."""
    return {row: _harmonic(values) for row, values in rows.items()}


def _harmonic(values: Mapping[str, Value]) -> dict[str, Value]:
    extended: dict[str, Value] = {}
    for metric, value in values.items():
        extended[metric] = value
        partner = _renamed(metric, NEW, BASE)
        if partner != metric and partner in values:
            mean = harmonic_mean(values[partner].mean, value.mean)
            extended[_renamed(metric, NEW, HARMONIC)] = Value(mean)
    return extended


def _renamed(metric: str, old: str, new: str) -> str:
    """Replaces a part of a metric's name: `accuracy_new` and `new/accuracy` have the part `new`."""
    group, slash, name = metric.rpartition("/")
    parts = ["_".join(new if word == old else word for word in p.split("_")) for p in (group, name)]
    return slash.join(parts) if slash else parts[1]


def harmonic_mean(base: float | None, new: float | None) -> float | None:
    """2ab / (a + b), 0 if either is 0; None if either is unknown."""
    if base is None or new is None:
        return None
    return 2 * base * new / (base + new) if base + new else 0.0


def _averages(
    chapters: Mapping[tuple[str, str], Mapping[str, Mapping[str, Value]]],
) -> list[str]:
    """Tables of the mean over data sets, for rows that all data sets of a model have."""
    parts = []
    for model in dict.fromkeys(model for _, model in chapters):
        tables = [rows for (_, own), rows in chapters.items() if own == model]
        if len(tables) < 2:
            continue
        rows = {
            row: {
                metric: Value(summarise(table[row][metric].mean for table in tables).mean)
                for metric in tables[0][row]
                if all(metric in table[row] for table in tables)
            }
            for row in tables[0]
            if all(row in table for table in tables)
        }
        if rows:
            title = f"## Average over {len(tables)} data sets, model {model}"
            parts.extend([title, metrics_tables(_with_harmonic(rows))])
    return parts


def _run_table(groups: Mapping[tuple[str, str, str], Sequence[Run]]) -> str:
    rows = [
        [
            str(run.folder),
            label,
            dataset,
            str(run.result["seed"]),
            Value(run.result.get("seconds")).show(share=False),
        ]
        for (dataset, _, label), group in groups.items()
        for run in group
    ]
    return markdown_table(["folder", "method", "data set", "seed", "seconds"], rows)


if __name__ == "__main__":
    run_command(main, define_flags, positional=True)
