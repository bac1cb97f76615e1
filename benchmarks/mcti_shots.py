"""MC-TI and every baseline at several numbers of photos a class.

    python -m benchmarks.mcti_shots --out=FOLDER [--world=DATA] [--shots=1,2,4,8,16] [--seeds=3]

Every number comes from a run of `mcti_jax.train` with its own folder below `--out`; finished ones
are not repeated. A seed draws the photos. Without `--base` no U-Net is trained, no picture drawn.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from benchmarks.mcti_terms import CHEAP, run, summary
from common.errors import run_command
from common.evaluation.tables import Value, markdown_table
from common.files import write_json
from common.names import file_stem

METRIC = "accuracy"


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("out", None, "Folder of the runs and of `shots.json`.", required=True)
    flags.DEFINE_string("world", "pocket:nameless", "Data set.")
    flags.DEFINE_list("shots", ["1", "2", "4", "8", "16"], "Photos of each class.")
    flags.DEFINE_integer("seeds", 3, "Seeds, from 0.", lower_bound=1)
    flags.DEFINE_string("base", CHEAP, "Fields of all runs, key=value,...")


def main(argv: Sequence[str]) -> None:
    """Print the table and write `shots.json`."""
    del argv
    options, out, columns = flags.FLAGS, Path(flags.FLAGS.out), {}
    for shots in options.shots:
        fields = f"{options.base},shots={shots}"
        folder = out / file_stem(options.world) / file_stem(fields)
        runs = [run(folder, options.world, seed, fields) for seed in range(options.seeds)]
        columns[shots] = {name: row[METRIC] for name, row in summary(runs).items()}
    rows = list(next(iter(columns.values())))
    cells = [
        [f"`{row}`", *(columns[shots].get(row, Value(None)).show(share=True) for shots in columns)]
        for row in rows
    ]
    print(f"\n{options.world}, {METRIC} (%)\n")
    print(markdown_table(["photos a class", *columns], cells), flush=True)
    means = {shots: {row: x.mean for row, x in column.items()} for shots, column in columns.items()}
    write_json(out / "shots.json", {"world": options.world, "base": options.base, METRIC: means})


if __name__ == "__main__":
    run_command(main, define_flags)
