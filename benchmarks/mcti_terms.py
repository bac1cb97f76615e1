"""MC-TI's classification terms side by side, and what any of its fields does to them.

    python -m benchmarks.mcti_terms --out=FOLDER [--world=DATA ...] [--term=FIELDS ...] [--seeds=3]
    python -m benchmarks.mcti_terms --out=FOLDER --base=alpha=1,updates=100 --term=vectors=2

Every number comes from a run of `mcti_jax.train` with its own folder below `--out`. Runs that are
finished there are not repeated, so an interrupted script goes on where it stopped. A seed draws
the photos and everything else. Without `--base` no U-Net is trained, and no picture drawn.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from absl import flags

from common.errors import run_command
from common.evaluation.summaries import summarise
from common.evaluation.tables import Value, markdown_table, result_rows
from common.files import write_json
from common.names import file_stem
from common.training import train
from common.training.method import find_method
from configs.mcti import get_config

TERMS = (
    "classification=paper",
    "classification=joint",
    "classification=both,joint.weight=1",
)
CHEAP = "alpha=0,updates=300,generate.per_class=0"

METRICS = {
    "accuracy": "accuracy",
    "generated/accuracy": "pictures by tokens",
    "generated/accuracy_by_photos": "pictures by photos",
    "generated/clip_i": "CLIP-I",
    "mixed/learned": "learned, names beside",
    "mixed/named": "named, tokens beside",
    "mixed/harmonic": "harmonic mean",
}

Rows = dict[str, dict[str, float | None]]


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("out", None, "Folder of the runs and of `terms.json`.")
    flags.DEFINE_multi_string("world", ["pocket:nameless"], "Data set; repeatable.")
    flags.DEFINE_multi_string("term", list(TERMS), "Fields of a row of the table; repeatable.")
    flags.DEFINE_integer("seeds", 3, "Seeds, from 0.", lower_bound=1)
    flags.DEFINE_string("base", CHEAP, "Fields of all runs, key=value,...")
    flags.mark_flags_as_required(["out"])


def run(folder: Path, world: str, seed: int, fields: str) -> Rows:
    """Return the rows of one run, trained now or before."""
    drawn = f"data={world},seed={seed},shots_seed={seed},compare_ti=false,progress=false"
    config = get_config(f"{drawn},{fields}")
    return result_rows(train(find_method(config), folder / f"seed{seed}"))


def summary(runs: Sequence[Rows]) -> dict[str, dict[str, Value]]:
    """Return mean and standard deviation of each row's metrics."""
    return {
        row: {
            metric: summarise(rows[row].get(metric) for rows in runs)
            for metric in METRICS
            if metric in runs[0][row]
        }
        for row in runs[0]
    }


def table(settings: Mapping[str, Sequence[Rows]]) -> str:
    """Return a world's table: a row for each setting, then those of the last one's baselines."""
    summaries = {name: summary(runs) for name, runs in settings.items()}
    rows = {f"`{name}`": found.pop("mcti") for name, found in summaries.items()}
    for baselines in summaries.values():
        rows |= baselines
    shown = [metric for metric in METRICS if any(metric in values for values in rows.values())]
    cells = [
        [name, *(values.get(metric, Value(None)).show(share=True) for metric in shown)]
        for name, values in rows.items()
    ]
    return markdown_table(["", *(f"{METRICS[metric]} (%)" for metric in shown)], cells)


def main(argv: Sequence[str]) -> None:
    """Print the table of each world as soon as its runs are finished, and write `terms.json`."""
    del argv
    options, out, written = flags.FLAGS, Path(flags.FLAGS.out), {}
    for world in options.world:
        written[world] = {}
        for term in options.term:
            fields = ",".join(filter(None, (options.base, term)))
            folder = out / file_stem(world) / file_stem(fields)
            written[world][term] = [run(folder, world, s, fields) for s in range(options.seeds)]
        write_json(out / "terms.json", {"base": options.base, "worlds": written})
        print(f"\n{world}\n\n{table(written[world])}", flush=True)


if __name__ == "__main__":
    run_command(main, define_flags)
