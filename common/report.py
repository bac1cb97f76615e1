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

from collections.abc import Sequence

from absl import flags

from common.errors import UserError, run_command
from common.files import atomic_write
from common.lazy import lazily
from common.paths import as_output, as_path
from common.progress import say

__all__, __getattr__, __dir__ = lazily(
    __name__, {"common.overview": ("report",), "common.runs": ("read_run",)}
)


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("out", None, "Markdown file to write.")
    flags.DEFINE_string("html", None, "Folder of a run, whose page is to be written.")


def main(argv: Sequence[str]) -> None:
    """Read the runs, write the report and print it, or write the page of one run."""
    # Imported once the flags are in order, so that help and mistakes show at once.
    from common.overview import report
    from common.page import write_page
    from common.runs import read_run

    options, folders = flags.FLAGS, argv[1:]
    text, out = "", None
    # Whatever is read and refused, nothing is written before.
    shown = read_run(as_path(options.html)) if options.html else None
    if folders or options.out or shown is None:
        if not options.out:
            raise UserError("missing --out: say where the report goes, --out=FILE.md.")
        if not folders:
            raise UserError("no runs to report on: name their folders, DIR...")
        out = as_output(options.out, "--out", ".md")
        text = report([read_run(as_path(folder)) for folder in folders])
    if shown is not None:
        say(f"wrote {write_page(shown.folder, shown.result, shown.config)}")
    if out is not None:
        with atomic_write(out) as path:
            path.write_text(text, encoding="utf-8")
        print(text, end="")


if __name__ == "__main__":
    run_command(main, define_flags, positional=True)
