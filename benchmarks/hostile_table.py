"""What odd and hostile input is tried, by kind: a table of the files of `tests/hostile`.

    python -m benchmarks.hostile_table [--update=PAGE]

The kind is the first line of a file's docstring, the number what pytest collects from it. Prints
the table, or renews it in a page of Markdown, between `<!-- hostile -->` and `<!-- end -->`.

For example:

    python -m benchmarks.hostile_table --update=docs/faults.md
"""

import ast
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from absl import flags

from benchmarks.pages import renew
from common.errors import run_command
from common.evaluation.tables import markdown_table

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests" / "hostile"
PLACE = "hostile"
"""Of the table in a page."""


def kinds() -> dict[str, str]:
    """Return what each file of tests is about, by its path from the root of the checkout."""
    return {
        str(file.relative_to(ROOT)): _first_line(file) for file in sorted(TESTS.glob("test_*.py"))
    }


def _first_line(file: Path) -> str:
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0].rstrip(".")


def counts() -> dict[str, int]:
    """Return how many tests pytest finds in each file."""
    command = [sys.executable, "-m", "pytest", "-n0", "--collect-only", "-qq", str(TESTS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"pytest collects nothing:\n{done.stdout}{done.stderr}")
    lines = (line.rpartition(": ") for line in done.stdout.splitlines())
    return {name: int(number) for name, _, number in lines if number.isdecimal()}


def table(counts: Mapping[str, int]) -> str:
    """Return the table, with the sum in its last row."""
    rows = [
        [kind, str(counts.get(file, 0)), f"[`{Path(file).name}`](../{file})"]
        for file, kind in kinds().items()
    ]
    total = ["together", str(sum(counts.get(file, 0) for file in kinds())), ""]
    return markdown_table(["kind", "inputs", "tests"], [*rows, total])


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("update", None, "Page of Markdown whose table is renewed.")


def main(argv: Sequence[str]) -> None:
    """Print the table or renew a page."""
    del argv
    text = table(counts())
    if not flags.FLAGS.update:
        print(text)
        return
    renew(flags.FLAGS.update, PLACE, text)


if __name__ == "__main__":
    run_command(main, define_flags)
