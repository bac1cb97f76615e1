"""Random kills over the three methods: whatever is ended, the rerun gives the same bytes.

    python -m benchmarks.kills [--trials=50] [--seed=0] [--at_once=1] [--out=FOLDER]

Each trial starts a small run in one process or in two, ends it at a random moment, repeats the
command until it says that it is done, and compares what a user takes away with an undisturbed
run. Prints a line for each trial, then the tally; the exit status is 1 if one of them differed.
"""

import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from absl import flags

from benchmarks.cluster import Cluster
from benchmarks.small_runs import RUNS, SmallRun, taken_away, write_world
from common.errors import run_command
from common.evaluation.tables import markdown_table

ATTEMPTS = 5
"""Runs after which a trial, or an undisturbed run, counts as lost."""

GRACE = 15.0
"""Seconds in which a cluster may end by itself once a process is gone, as a scheduler grants."""

ENDS = {
    "SIGKILL of one process": (signal.SIGKILL, False),
    "SIGKILL of all": (signal.SIGKILL, True),
    "SIGTERM": (signal.SIGTERM, False),
}
"""How a run is ended: the signal, and whether all processes get it."""

MOMENTS = {
    "at any time": "",
    "in a checkpoint's write": "run/checkpoints/*tmp*",
    "while a cache is built": "cache/*.npz",
}
"""When: as soon as such a file is there; without a pattern, at a random second."""


@dataclass(frozen=True)
class Trial:
    """What happens in one trial."""

    number: int
    small: SmallRun
    processes: int
    end: str
    moment: str
    fraction: float
    victim: int

    @classmethod
    def draw(cls, number: int, seed: int) -> "Trial":
        """Return the trial of this number, from the seed alone; methods and ends take turns."""
        rng = random.Random(f"{seed}/{number}")
        small = list(RUNS.values())[number % len(RUNS)]
        processes = rng.choice((1, 2))
        end = rng.choice(list(ENDS))
        moment = rng.choice(list(MOMENTS))
        return cls(number, small, processes, end, moment, rng.random(), rng.randrange(processes))


@dataclass(frozen=True)
class Reference:
    """An undisturbed run: its folder and how long it took."""

    folder: Path
    seconds: float


def undisturbed(small: SmallRun, processes: int, out: Path) -> Reference:
    """Run once to compile, and a second time to see how long it takes.

    On a machine that is too busy the processes of a cluster do not find each other within the half
    minute that JAX grants on CPUs, so each run may be begun anew.
    """
    for name in ("first", "reference"):
        folder = out / f"{small.name}-{processes}" / name
        for _ in range(ATTEMPTS):
            shutil.rmtree(folder, ignore_errors=True)
            started = time.monotonic()
            if not any(statuses := Cluster(small, folder, out, processes).finish()):
                break
        else:
            raise RuntimeError(f"{folder}: an undisturbed run ended with {statuses}")
    return Reference(folder, time.monotonic() - started)


def disturb(trial: Trial, folder: Path, out: Path, seconds: float) -> str:
    """Start the run and end it; say what it was doing."""
    cluster = Cluster(trial.small, folder, out, trial.processes)
    pattern = MOMENTS[trial.moment]
    deadline = time.monotonic() + seconds * (10 if pattern else trial.fraction)
    while cluster.running() and time.monotonic() < deadline:
        if pattern and list(folder.glob(pattern)):
            # Into the write, or somewhat behind it.
            time.sleep(0.2 * trial.fraction**2)
            break
        time.sleep(0.002)
    state = stage(folder)
    number, everyone = ENDS[trial.end]
    cluster.signal(number, None if everyone else trial.victim)
    cluster.finish(GRACE if number == signal.SIGKILL else 20 * GRACE)
    return state


def stage(folder: Path) -> str:
    """Return how far a run has come, by its files."""
    run = folder / "run"
    if (run / "result.json").exists():
        return "finished"
    if list((run / "checkpoints").glob("0*")):
        return "behind a checkpoint"
    if run.exists():
        return "before a checkpoint"
    return "cache" if list(folder.glob("cache/*")) else "start"


def recover(trial: Trial, folder: Path, out: Path) -> int | None:
    """Repeat the command until it succeeds; say how often it took, None if it never did."""
    for attempt in range(1, ATTEMPTS + 1):
        cluster = Cluster(trial.small, folder, out, trial.processes)
        if not any(cluster.finish()):
            return attempt
    return None


def run_trial(trial: Trial, reference: Reference, out: Path) -> bool:
    """Run one trial and return whether it ended with the reference's bytes."""
    folder = out / f"trial-{trial.number}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if trial.moment != "while a cache is built":
        shutil.copytree(reference.folder / "cache", folder / "cache")
    state = disturb(trial, folder, out, reference.seconds)
    attempts = recover(trial, folder, out)
    made, wanted = (taken_away(x / "run") for x in (folder, reference.folder))
    differing = sorted(name for name in made | wanted if made.get(name) != wanted.get(name))
    same = attempts is not None and not differing
    print(
        f"{trial.number:3d}  {trial.small.name}, {trial.processes} processes, {trial.end} "
        f"{trial.moment} ({state}): "
        + ("same bytes" if same else f"DIFFERS in {differing[:4]}, attempts {attempts}"),
        flush=True,
    )
    if same:
        shutil.rmtree(folder)
    return same


def main(argv: Sequence[str]) -> None:
    """Run the trials and print the tally."""
    del argv
    options = flags.FLAGS
    out = Path(options.out or tempfile.mkdtemp(prefix="kills-"))
    trials = [Trial.draw(number, options.seed) for number in range(options.trials)]
    wanted = [(small, processes) for small in RUNS.values() for processes in (1, 2)]
    if not (out / "world").exists():
        write_world(out / "world")
    with ThreadPoolExecutor(options.at_once) as pool:
        runs = pool.map(lambda pair: undisturbed(*pair, out), wanted)
        references = dict(zip(wanted, runs, strict=True))
        results = pool.map(
            lambda trial: run_trial(trial, references[trial.small, trial.processes], out), trials
        )
        same = list(results)
    counts: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    for trial, good in zip(trials, same, strict=True):
        processes = "1 process" if trial.processes == 1 else f"{trial.processes} processes"
        for row in (trial.small.name, processes, trial.end, trial.moment, "all"):
            counts[row] += 1
            passed[row] += good
    table = [[row, str(counts[row]), str(passed[row])] for row in counts]
    print(f"\n{markdown_table(['ended runs', 'trials', 'same bytes'], table)}")
    if passed["all"] < counts["all"]:
        raise SystemExit(1)


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_integer("trials", 50, "How many runs are ended.", lower_bound=1)
    flags.DEFINE_integer("seed", 0, "Of the moments and the victims.")
    flags.DEFINE_integer("at_once", 1, "Trials side by side.", lower_bound=1)
    flags.DEFINE_string("out", "", "Folder of the runs; what differed is kept. A temporary one.")


if __name__ == "__main__":
    run_command(main, define_flags)
