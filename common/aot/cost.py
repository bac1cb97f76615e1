"""How long a run takes on a slice and what it costs, from reports of `common.aot`.

    python -m common.aot.cost REPORT.json... --utilisation=0.3 [--price=USD] [--updates=3100]
        [--seconds=0.4]

The least time of an update follows from the chips' peak rates; which part of them a run reaches is
an assumption, until one has been timed: then give its `--seconds` of an update. The price of a
chip for an hour is what your contract says. Compiling, evaluation and waiting are not in it.

For example:

    python -m common.aot.cost v5e-8.json v5e-16.json --utilisation=0.3 --price=1.2
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from absl import flags

from common.chips import CHIPS, sides
from common.errors import UserError, run_command
from common.evaluation.tables import markdown_table
from common.files import read_record
from common.paths import AnyPath, as_path

# What gcloud calls a slice, and its chips as `common.aot` names them. The numbers behind v5e and
# v6e count chips, those behind v5p the two cores of each (Google Cloud's pages on v5e, v6e, v5p).
_FLAT = {1: "1x1", 4: "2x2", 8: "2x4", 16: "4x4", 32: "4x8", 64: "8x8", 128: "8x16", 256: "16x16"}
_TOPOLOGY = re.compile(r"\w+:\d{1,6}(x\d{1,6}){1,3}")
_CUBES = {8: "2x2x1", 16: "2x2x2", 32: "2x2x4", 64: "2x4x4", 128: "4x4x4", 256: "4x4x8"}
SLICES: Mapping[str, str] = {
    **{f"v5litepod-{size}": f"v5e:{shape}" for size, shape in _FLAT.items()},
    **{f"v6e-{size}": f"v6e:{shape}" for size, shape in _FLAT.items()},
    **{f"v5p-{size}": f"v5p:{shape}" for size, shape in _CUBES.items()},
}


@dataclass(frozen=True)
class Cost:
    """A run on a slice.

    Attributes:
      topology: As in the report.
      chips: Of the slice.
      seconds: Of one update.
      updates: Of the run.
      price: Of a chip for an hour; None where it is not known.
    """

    topology: str
    chips: int
    seconds: float
    updates: int
    price: float | None = None

    @property
    def hours(self) -> float:
        """Hours of training."""
        return self.seconds * self.updates / 3600

    @property
    def total(self) -> float | None:
        """Price of the run, in the currency of `price`."""
        return None if self.price is None else self.hours * self.chips * self.price


def estimate(
    report: Mapping[str, Any],
    utilisation: float,
    *,
    price: float | None = None,
    updates: int = 0,
    seconds: float = 0.0,
) -> Cost:
    """Estimate the run that a report is about.

    Args:
      report: As `common.aot --report` writes it.
      utilisation: Part of the peak rates that the run reaches, above 0 and up to 1.
      price: Of a chip for an hour.
      updates: Of the run; 0 takes the config's.
      seconds: Of an update, where it was measured; 0 takes the report's bound.

    Raises:
      UserError: A number is out of range, or the chip's peak rates are not known.
    """
    if not 0 < utilisation <= 1:
        raise UserError(
            f"utilisation={utilisation} is not a part: give a number above 0 and up to 1."
        )
    # Written so that a NaN is refused, too.
    if not all(0 <= x < math.inf for x in (price or 0, updates, seconds)):
        raise UserError(
            f"price={price}, updates={updates}, seconds={seconds}: give finite numbers from 0 on."
        )
    return Cost(
        topology=report["topology"],
        chips=math.prod(sides(report["topology"])),
        seconds=seconds or least_seconds(report) / utilisation,
        updates=updates or report["config"]["updates"],
        price=price,
    )


def read_report(file: AnyPath) -> dict[str, Any]:
    """Return what `common.aot --report` wrote of a run's length and its chips.

    Raises:
      UserError: The file is none of these.
    """
    record = read_record(file, "write it with common.aot --report")
    if not _TOPOLOGY.fullmatch(record.text("topology", longest=100)):
        record.refuse("topology", "a generation and a shape, e.g. v5e:2x4")
    bounds = record.record("roofline", default={})
    return {
        "topology": record.content["topology"],
        "flops": record.number("flops", low=0),
        "roofline": {"seconds": bounds.number("seconds", low=0)} if bounds.content else None,
        "config": {"updates": record.record("config").integer("updates")},
    }


def least_seconds(report: Mapping[str, Any]) -> float:
    """Return the least seconds of one update at the chip's peak rates.

    Raises:
      UserError: These are not known.
    """
    if bounds := report.get("roofline"):
        return bounds["seconds"]
    generation = report["topology"].partition(":")[0]
    if generation not in CHIPS:
        raise UserError(f"no peak rate of {generation} is known: give the --seconds of an update.")
    return report["flops"] / CHIPS[generation].flops


def cost_table(costs: Sequence[Cost]) -> str:
    """Return a Markdown table with a row for each."""
    header = ["topology", "chips", "s per update", "updates", "hours", "chip-hours", "price"]
    rows = [
        [
            cost.topology,
            str(cost.chips),
            f"{cost.seconds:.3g}",
            str(cost.updates),
            f"{cost.hours:.3g}",
            f"{cost.hours * cost.chips:.3g}",
            "-" if cost.total is None else f"{cost.total:.2f}",
        ]
        for cost in costs
    ]
    return markdown_table(header, rows)


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_float("utilisation", None, "Part of the chips' peak rates that is reached.")
    flags.DEFINE_float("price", None, "Of a chip for an hour, in your currency.")
    flags.DEFINE_integer("updates", 0, "Of the run; the config's by default.")
    flags.DEFINE_float("seconds", 0.0, "Of an update, where it was measured.")


def main(argv: Sequence[str]) -> None:
    """Print the table."""
    options = flags.FLAGS
    if len(argv) < 2:
        raise UserError("no reports: name files that common.aot --report wrote.")
    if options.utilisation is None and not options.seconds:
        raise UserError("missing --utilisation, e.g. 0.3, or the measured --seconds of an update.")
    numbers = {"price": options.price, "updates": options.updates, "seconds": options.seconds}
    reports = [read_report(as_path(file)) for file in argv[1:]]
    utilisation = 1.0 if options.utilisation is None else options.utilisation
    print(cost_table([estimate(report, utilisation, **numbers) for report in reports]))


if __name__ == "__main__":
    run_command(main, define_flags, positional=True)
