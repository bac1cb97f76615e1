"""AAPE's tables: what it gains over CLIP and CuPL, and by which of its parts.

    python -m benchmarks.aape_pocket --out=FOLDER [--tables=main,lambda,...] [--seeds=3]
    python -m benchmarks.aape_pocket --out=FOLDER --base=data=pocket:second,learning_rate=0.02

Every number comes from a run of `aape_jax.train` with its own folder below `--out`. Runs that are
finished there are not repeated, so an interrupted script goes on where it stopped. A seed draws
the photos, the sentences, the order and the start.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from absl import flags

from common.choices import check_choice
from common.errors import run_command
from common.evaluation.summaries import summarise, with_harmonic
from common.evaluation.tables import Value, markdown_table, result_rows
from common.training import train
from common.training.method import find_method
from configs.aape import get_config

ABLATIONS = (
    "projection",
    "no_distillation",
    "aape_only",
    "random_prompt",
    "mean_prompt",
    "mlp_prompt",
    "attention_prompt",
    "mean_prompt_only",
)
SHOWN = ("clip", "cupl", "no_distillation", "aape", "projection", "aape_only", "paper")
SWEPT = "compare=(no_distillation,projection),baselines=(),pictures=0"
MANY = "compare=(no_distillation,aape_only),baselines=(),pictures=0"
EPOCHS = "updates={0}00,steps_per_call={1},log_every={1},save_every={0}00"

TABLES: dict[str, dict[str, str]] = {
    "main": {"": f"compare=({','.join(ABLATIONS)})"},
    "lambda": {f"{value}": f"loss.lambda={value},{SWEPT}" for value in (1, 3, 5, 7, 9)},
    "shots": {f"{value}": f"shots={value},{SWEPT}" for value in (1, 2, 4, 8, 16)},
    "prompts": {
        f"{value}": f"prompts.per_template={value},{SWEPT}" for value in (1, 2, 3, 5, 7, 10)
    },
    "classes": {
        "8": f"data=pocket:second,{EPOCHS.format(2, 4)},{MANY}",
        "12": f"data=pocket:rare,{EPOCHS.format(3, 6)},{MANY}",
        "200": f"data=pocket:named,{EPOCHS.format(12, 25)},{MANY}",
    },
}
"""Of each table, what its settings are called and the fields that they set: of "classes" the number
of learned classes, about 50 epochs each; there are but four photos of each of the 200.
"""

METRICS = ("base/accuracy", "new/accuracy", "harmonic/accuracy")


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("out", None, "Folder of the runs.")
    flags.DEFINE_list("tables", list(TABLES), "Which tables.")
    flags.DEFINE_integer("seeds", 3, "Seeds, from 1.", lower_bound=1)
    flags.DEFINE_string("base", "", "Fields of all runs, key=value,...")
    flags.mark_flags_as_required(["out"])


def run(folder: Path, seed: int, fields: str, base: str) -> dict[str, dict[str, float | None]]:
    """Return the rows of one run, trained now or before."""
    seeds = f"seed={seed},shots_seed={seed},prompts.seed={seed}"
    arg = ",".join(filter(None, (seeds, "progress=false", fields, base)))
    config = get_config(arg)
    return result_rows(train(find_method(config), folder / f"seed{seed}"))


def summary(runs: Sequence[Mapping[str, Mapping[str, float | None]]]) -> dict[str, dict]:
    """Return mean and standard deviation of each row's accuracies, and harmonic means."""
    rows = {
        row: {
            metric: summarise(run[row].get(metric) for run in runs)
            for metric in METRICS[:2]
            if metric in runs[0][row]
        }
        for row in runs[0]
    }
    return with_harmonic(rows)


def table(name: str, out: Path, seeds: int, base: str) -> str:
    """Run what a table needs and return it, methods below each other.

    The settings of a sweep stand side by side, for a few methods.
    """
    columns = {}
    for value, fields in TABLES[name].items():
        folder = out / name / value
        runs = [run(folder, seed, fields, base) for seed in range(1, seeds + 1)]
        columns[value] = summary(runs)
    if name == "main":
        (rows,) = columns.values()
        lines = [[row, *(_shown(rows[row], metric) for metric in METRICS)] for row in rows]
        return markdown_table(["method", "base (%)", "new (%)", "H (%)"], lines)
    methods = [row for row in SHOWN if any(row in rows for rows in columns.values())]
    lines = [[row, *(_both(rows.get(row, {})) for rows in columns.values())] for row in methods]
    return markdown_table([f"{name}, base / new (%)", *columns], lines)


def _shown(values: Mapping[str, Value], metric: str) -> str:
    return values.get(metric, Value(None)).show(share=True)


def _both(values: Mapping[str, Value]) -> str:
    return " / ".join(_shown(values, metric) for metric in METRICS[:2])


def main(argv: Sequence[str]) -> None:
    """Print each table as soon as its runs are finished."""
    del argv
    options = flags.FLAGS
    for name in options.tables:
        check_choice("--tables", name, TABLES)
    for name in options.tables:
        print(f"\n{table(name, Path(options.out), options.seeds, options.base)}", flush=True)


if __name__ == "__main__":
    run_command(main, define_flags)
