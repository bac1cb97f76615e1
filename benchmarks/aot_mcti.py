"""Whether MC-TI's step on Stable Diffusion 1.5 fits a TPU chip, and what eight chips send.

    python -m benchmarks.aot_mcti [--only=REGEX] [--list] [--results=FILE.json]

Compiles the step at 512 pixels ahead of time, for chips that need not be there: one row for each
number of samples at once, attention and recomputation; then the paper's twelve data sets by their
names, their classes spread over eight chips. A row takes about ten minutes on two cores. Finished
rows are kept in the results file, so that the script may be run piecewise; the Markdown table of
the rows that are finished comes at the end.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
from absl import flags
from ml_collections import ConfigDict

from common.aot import DoesNotFit, compile_for
from common.errors import run_command
from common.evaluation.tables import markdown_table
from common.files import read_json, write_json
from common.training import say
from configs.mcti import PAPER, get_config
from mcti_jax.outline import describe

GIB = 2**30
# (attention, remat) -> samples at once on a chip.
CHIP = {
    ("plain", "none"): (1, 4, 8, 12),
    ("plain", "attention"): (4, 8, 12, 16),
    ("flash", "none"): (1, 4, 8, 12, 16),
    ("flash", "block"): (8, 16, 32),
}
SAMPLES = 4  # of a class, unless one sample is all
COLUMNS = (
    "topology",
    "settings",
    "samples at once",
    "HBM peak, GiB",
    "arguments, GiB",
    "TFLOP per chip and update",
    "all collectives, bytes",
    "gradient, bytes",
)


@dataclass(frozen=True)
class Case:
    """One program: the settings of `configs/mcti.py` on a topology."""

    topology: str
    settings: str
    batch: int

    @property
    def key(self) -> str:
        """The case's name in the results file."""
        return f"{self.topology} {self.settings}"


def cases(override: str) -> list[Case]:
    """All rows, smaller programs of a kind first; `override` goes behind each one's settings."""
    tail = f",{override}" if override else ""
    rows = []
    for (attention, remat), batches in CHIP.items():
        for batch in batches:
            samples = min(batch, SAMPLES)
            settings = (
                f"paper=flowers,attention={attention},remat={remat},samples={samples},"
                f"classes_per_chunk={batch // samples}{tail}"
            )
            rows.append(Case("v5e:1x1", settings, batch))
    return rows + [Case("v5e:2x4", f"paper={name}{tail}", SAMPLES) for name in PAPER]


def measure(case: Case) -> dict[str, Any]:
    """Compiles one case; what does not fit says how much it would need."""
    config = get_config(case.settings).lock()
    try:
        report = compile_for(config, case.topology)
    except DoesNotFit as error:
        return {"needed": error.needed, "available": error.available}
    finally:
        jax.clear_caches()
    return report.to_dict() | {"gradient": gradient_bytes(config)}


def gradient_bytes(config: ConfigDict) -> int:
    """Size of the gradient of all classes' tokens."""
    width = describe(config, "tpu").sd.text_tower.config.width
    return config.classes * config.vectors * width * 4


def check(case: Case, row: Mapping[str, Any]) -> None:
    """Classes share nothing: what is sent are sums for the log."""
    sent = sum(each["bytes"] for each in row.get("collectives", ()))
    if "gradient" in row and sent >= min(row["gradient"], 4096):
        raise AssertionError(f"{case.key} sends {sent} bytes of a {row['gradient']}-byte gradient")


def table_row(case: Case, row: Mapping[str, Any]) -> Sequence[str]:
    """The cells of one finished case."""
    if "needed" in row:
        peak = f"does not fit: {row['needed']:.2f} of {row['available']:.2f}"
        return [case.topology, case.settings, str(case.batch), peak, *[""] * 4]
    memory = row["memory"]
    return [
        case.topology,
        case.settings,
        str(case.batch),
        f"{memory['peak'] / GIB:.2f} of {memory['available'] / GIB:.2f}",
        f"{memory['arguments'] / GIB:.2f}",
        f"{row['flops'] / 1e12:.3g}",
        f"{sum(each['bytes'] for each in row['collectives']):,}",
        f"{row['gradient']:,}",
    ]


def define_flags() -> None:
    """The command line."""
    flags.DEFINE_string("only", "", "A regular expression that a row's name must contain.")
    flags.DEFINE_bool("list", False, "Print the names of the rows and whether they are finished.")
    flags.DEFINE_string("results", "benchmarks/results/aot_mcti.json", "Finished rows.")
    flags.DEFINE_string(
        "override", "", "Settings for every row, e.g. model=DIR,clip=DIR,resolution=64 to try out."
    )


def main(argv: Sequence[str]) -> None:
    """Compiles the rows that are not finished and prints the table."""
    del argv
    jax.config.update("jax_platforms", "cpu")
    path = Path(flags.FLAGS.results)
    results = read_json(path) if path.exists() else {}
    chosen = [case for case in cases(flags.FLAGS.override) if re.search(flags.FLAGS.only, case.key)]
    for case in chosen:
        if flags.FLAGS.list:
            say(f"{'done' if case.key in results else 'open'}  {case.key}")
        elif case.key not in results:
            say(f"compiling {case.key}")
            results[case.key] = row = measure(case)
            write_json(path, results)
            check(case, row)
    finished = [case for case in chosen if case.key in results]
    print(markdown_table(COLUMNS, [table_row(case, results[case.key]) for case in finished]))


if __name__ == "__main__":
    run_command(main, define_flags)
