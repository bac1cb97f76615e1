"""Which models go together, which chip holds a run at its paper's size, and for how long.

    python -m benchmarks.before_you_start [--update=PAGE]

Nothing is compiled: memory and least time of an update are the finished rows that
`benchmarks.aot_table` keeps, the number of updates is the config's own. Prints the tables, or
renews them in a page of Markdown, between `<!-- before you start -->` and `<!-- end -->`.

For example:

    python -m benchmarks.before_you_start --update=README.md
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from absl import flags

from benchmarks.aot_cases import CORPUS, SETTINGS, Case, cases
from benchmarks.pages import renew
from common.aot.report import GIB
from common.diffusion.known import KNOWN
from common.errors import run_command
from common.evaluation.tables import markdown_table
from common.files import read_json
from common.training.method import find_method

ROOT = Path(__file__).resolve().parents[1]
ROWS = ROOT / "benchmarks" / "results" / "aot.json"
PLACE = "before you start"
"""Of the tables in a page."""
SHARES = (1.0, 0.3)
"""Parts of the peak rates; the second is an assumption, since no TPU has been timed."""

UNITS = (("h", 3600), ("min", 60), ("s", 1))

PAIRS = {
    "stable-diffusion-v1-5/stable-diffusion-v1-5": "openai/clip-vit-large-patch14",
    "CompVis/stable-diffusion-v1-4": "openai/clip-vit-large-patch14",
    "stabilityai/stable-diffusion-2-1-base": "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
    "stabilityai/stable-diffusion-2-1": "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
    "stabilityai/stable-diffusion-xl-base-1.0": "laion/CLIP-ViT-bigG-14-laion2B-39B-b160k",
    "stabilityai/sdxl-turbo": "laion/CLIP-ViT-bigG-14-laion2B-39B-b160k",
}
"""Each Stable Diffusion with the CLIP whose text tower it was trained with, of two the second."""


@dataclass(frozen=True)
class Job:
    """A training of a paper's size.

    Attributes:
      name: What is trained, on what.
      program: A key of `SETTINGS`, or "captioning".
      models: What it needs.
      slices: Those that are shown.
    """

    name: str
    program: str
    models: str
    slices: Sequence[str]

    def cases(self) -> list[Case]:
        """Return the compiled programs, one for each slice."""
        return [
            case
            for case in cases()
            if case.program == self.program
            and case.slice in self.slices
            and case.settings == SETTINGS.get(self.program, case.settings)
        ]


JOBS = (
    Job(
        "MC-TI, 102 classes of flowers, 512 pixels",
        "mcti",
        "Stable Diffusion 1.5, CLIP ViT-L/14",
        ("v5e-1", "v5e-8", "v5e-16", "v6e-8", "v5p-8"),
    ),
    Job("ProText, ImageNet's sentences", "protext", "CLIP ViT-B/16", ("v5e-1",)),
    Job("AAPE, 1,000 classes of ImageNet, 16 photos each", "aape", "CLIP ViT-B/16", ("v5e-1",)),
    Job("AAPE, retrieval on COCO", "retrieval", "CLIP ViT-L/14", ("v5e-1",)),
    Job("AAPE, captioning of COCO", "captioning", "CLIP RN50x16, GPT-J-6B", ("v5e-8",)),
)


def pairs() -> str:
    """Return the table of models that MC-TI takes together."""
    rows = [
        [f"`{model}`", f"`{clip}`", " + ".join(str(text.width) for text in texts.values())]
        for model, clip in PAIRS.items()
        for texts in [KNOWN[model].texts]
    ]
    return markdown_table(["`model` (Stable Diffusion)", "`clip`", "width of a token"], rows)


def updates(case: Case) -> int:
    """Return how many updates the run has."""
    config = case.config(CORPUS, "")
    return find_method(config).complete(config).updates


def least_time(row: Mapping[str, Any], count: int, share: float) -> str:
    """Return the least time of a run whose chips reach a share of their peak rates."""
    seconds = row["roofline"]["seconds"] * count / share
    unit, length = next(pair for pair in UNITS if seconds >= pair[1] or pair[1] == 1)
    return f"{seconds / length:.2g} {unit}"


def needs(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table of memory and time.

    Args:
      rows: The finished rows of `benchmarks.aot_table`, by case.
    """
    body = []
    for job in JOBS:
        for case in job.cases():
            row, count = rows[case.key], updates(case)
            memory = row["memory"]
            body.append(
                [
                    job.name,
                    job.models,
                    case.slice,
                    f"{memory['peak'] / GIB:.1f} of {memory['available'] / GIB:.1f}",
                    f"{count:,}",
                    *(least_time(row, count, share) for share in SHARES),
                ]
            )
    shares = [f"time at {100 * share:.0f} % of peak" for share in SHARES]
    header = ["training", "models", "slice", "memory of a chip, GiB", "updates", *shares]
    return markdown_table(header, body)


def tables() -> str:
    """Return both tables."""
    return f"{pairs()}\n\n{needs(read_json(ROWS))}"


def define_flags() -> None:
    """Define the command's option."""
    flags.DEFINE_string("update", None, "A page of Markdown whose tables are renewed.")


def main(argv: Sequence[str]) -> None:
    """Print the tables, or renew them in a page."""
    del argv
    if flags.FLAGS.update is None:
        print(tables())
        return
    renew(flags.FLAGS.update, PLACE, tables())


if __name__ == "__main__":
    run_command(main, define_flags)
