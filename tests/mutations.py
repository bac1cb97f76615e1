"""Breaks a package on purpose and shows which test notices.

Each method has its list: `python -m tests.mcti.mutations [NAME ...]`. A mutation changes one line
in a copy of the checkout and runs the tests that should fail. The table of mutations and tests is
printed; the exit status is 1 if one survives. It takes minutes, so no test runs it.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common.packages import PACKAGES

ROOT = Path(__file__).resolve().parents[1]
COPIED = (
    *(*PACKAGES, "benchmarks", "colab", "configs", "docs", "tests", "tools"),
    *("README.md", "pyproject.toml"),
)


@dataclass(frozen=True)
class Mutation:
    """One wrong line: `before` occurs once in `file`; `test`, below `tests`, should notice."""

    name: str
    file: str
    before: str
    after: str
    test: str


def first_failure(checkout: Path, *tests: str) -> str | None:
    """The first of the tests that fails."""
    paths = [f"tests/{test}" for test in tests]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n0", "-p", "no:cacheprovider", *paths]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    found = re.search(r"^(?:FAILED|ERROR) (?:\S*/)?tests/(\S+)", done.stdout, re.MULTILINE)
    if done.returncode and not found:
        raise SystemExit(f"pytest could not run:\n{done.stdout}{done.stderr}")
    return found and found[1]


def noticed(checkout: Path, mutation: Mutation) -> str | None:
    """The test that fails once the mutation is in the copy."""
    path = checkout / mutation.file
    original = path.read_text()
    if original.count(mutation.before) != 1:
        raise SystemExit(f"{mutation.file} does not hold {mutation.before!r} exactly once.")
    path.write_text(original.replace(mutation.before, mutation.after))
    try:
        return first_failure(checkout, mutation.test)
    finally:
        path.write_text(original)


def main(mutations: Sequence[Mutation]) -> None:
    """Tries all, or those that the command line names, a line of the table for each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="of a mutation; all by default")
    names, known = parser.parse_args().names, [x.name for x in mutations]
    if unknown := [name for name in names if name not in known]:
        parser.error(f"{unknown[0]!r} is not a mutation; known: {'; '.join(known)}")
    chosen = [x for x in mutations if not names or x.name in names]
    survivors = 0
    with tempfile.TemporaryDirectory() as directory:
        checkout = Path(directory)
        for name in COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, checkout / name)
        if failure := first_failure(checkout, *sorted({x.test for x in chosen})):
            raise SystemExit(f"without any mutation {failure} fails.")
        print("| mutation | file | noticed by |\n|---|---|---|", flush=True)
        for mutation in chosen:
            test = noticed(checkout, mutation)
            survivors += test is None
            print(f"| {mutation.name} | {mutation.file} | {test or 'NOBODY'} |", flush=True)
    sys.exit(survivors > 0)
