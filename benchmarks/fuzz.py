"""Damages sound files at random and reads them: each ends in a value or in one sentence.

    python -m benchmarks.fuzz [--seconds=20 --seed=0 --only=NAME --case=NUMBER --out=FILE]

A table counts for each reader what was read, what was refused in one sentence (`UserError`), and
what failed: any other exception, a sentence of two lines, or more than `SLOW` seconds. Failures
are listed with the arguments that repeat them, and end with status 1.
"""

import argparse
import contextlib
import functools
import io
import random
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from absl import logging

from benchmarks.fuzz_mutators import mutate
from benchmarks.fuzz_readers import READERS, Reader
from common.errors import UserError

SLOW = 20.0


@dataclass
class Count:
    """How reads of one reader ended; failures as (number of the case, what happened)."""

    read: int = 0
    refused: int = 0
    failures: list[tuple[int, str]] = field(default_factory=list)


def try_case(name: str, seed: int, number: int) -> str | None:
    """Return what went wrong; "" where a file was refused as it should be, None where it was read.

    The case hangs on the three arguments alone.
    """
    reader, rng = READERS[name], random.Random(f"{seed}/{name}/{number}")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for path, content in _sound(name).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        _damage(reader, folder, rng)
        start = time.monotonic()
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # Warnings to the user are not faults.
                reader.read(folder)
            fault = None
        except UserError as error:
            fault = "a sentence of several lines" if "\n" in str(error).strip() else ""
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(last.filename).name}:{last.lineno}"
            fault = f"{type(error).__name__}: {str(error)[:80]!r} at {place}"
        seconds = time.monotonic() - start
        return f"{seconds:.0f} seconds" if seconds > SLOW else fault


@functools.cache
def _sound(name: str) -> dict[str, bytes]:
    """Return a reader's sound files by their paths in its folder."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        READERS[name].make(folder)
        files = (file for file in sorted(folder.rglob("*")) if file.is_file())
        return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def _damage(reader: Reader, folder: Path, rng: random.Random) -> None:
    files = sorted(file for file in folder.glob(reader.files) if file.is_file())
    for _ in range(rng.choice((1, 1, 1, 2))):
        file = rng.choice(files)
        file.write_bytes(mutate(file.read_bytes(), rng))


def fuzz(name: str, seed: int, seconds: float, most: int = 10**9) -> Count:
    """Return how cases of one reader ended, as many as `seconds` allow and `most` at most."""
    count, end, number = Count(), time.monotonic() + seconds, 0
    while number < most and time.monotonic() < end:
        fault = try_case(name, seed, number)
        count.read += fault is None
        count.refused += fault == ""
        if fault:
            count.failures.append((number, fault))
        number += 1
    return count


def main() -> int:
    """Print the table and the failures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="For each reader.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=sorted(READERS), help="One reader.")
    parser.add_argument("--case", type=int, help="One case of it, with its traceback.")
    parser.add_argument("--out", type=Path, help="Where failures are written, one a line.")
    options = parser.parse_args()
    logging.set_verbosity(logging.ERROR)
    if options.case is not None:
        print(try_case(options.only, options.seed, options.case) or "as it should be")
        return 0
    lines: list[str] = []
    print("| reader | read | refused | failed |\n|---|---|---|---|", flush=True)
    for name in [options.only] if options.only else READERS:
        count = fuzz(name, options.seed, options.seconds)
        print(f"| {name} | {count.read} | {count.refused} | {len(count.failures)} |", flush=True)
        lines += [
            f"--only={name} --seed={options.seed} --case={number}: {fault}"
            for number, fault in count.failures
        ]
    print("\n".join(lines))
    if options.out:
        options.out.write_text("".join(f"{line}\n" for line in lines))
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main())
