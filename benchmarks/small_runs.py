"""Runs of the three methods that take seconds, in any number of processes on this machine."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from common.files import write_json
from common.pocket.datasets import open_pocket, pocket_descriptions

ROOT = Path(__file__).resolve().parents[1]
SLOW = 600.0  # Seconds after which a run counts as stuck.


@dataclass(frozen=True)
class Small:
    """A small run.

    Attributes:
      name: The package's, without its ending.
      fields: What its config sets; {world} is the folder that `write_world` writes.
    """

    name: str
    fields: Mapping[str, Any] = field(default_factory=dict)

    def command(self, folder: Path, shared: Path, **changes: Any) -> list[str]:
        """The training command; its files go to `folder/run` and `folder/cache`."""
        own = {"cache": folder / "cache", "compile_cache": shared / "xla"}
        settings = ",".join(f"{k}={v}" for k, v in {**self.fields, **own, **changes}.items())
        config = f"configs/{self.name}.py:{settings.format(world=shared / 'world')}"
        module = [sys.executable, "-m", f"{self.name}_jax.train"]
        return [*module, f"--config={config}", f"--workdir={folder}/run"]


RUNS = {
    small.name: small
    for small in (
        Small(
            "mcti",
            {
                **{"data": "folder:{world}/photos", "samples": 1, "shots": 0},
                **{"updates": 8, "steps_per_call": 2, "log_every": 2, "save_every": 2},
                **{"generate.per_class": 1, "generate.steps": 2},
            },
        ),
        Small(
            "protext",
            {
                **{"data": "folder:{world}/photos", "prompts": "{world}/corpus.json"},
                **{"depth": 2, "batch": 7, "updates": 24, "epochs": 8, "baselines": ""},
                **{"steps_per_call": 2, "log_every": 4, "save_every": 2, "eval_every": 8},
            },
        ),
        Small(
            "aape",
            {
                **{"data": "folder:{world}/photos", "prompts.source": "json:{world}/corpus.json"},
                **{"shots": 0, "batch": 6, "updates": 24, "compare": "", "baselines": ""},
                **{"steps_per_call": 2, "log_every": 4, "save_every": 2, "eval_every": 8},
            },
        ),
    )
}
"""By name. Sizes leave a remainder wherever rows are dealt out to 2, 4 or 8 devices."""

CLASSES, TRAIN, TEST, SENTENCES = 5, 4, 3, 5


def write_world(folder: Path) -> None:
    """Writes photos of a few classes of the pocket world, and sentences about them."""
    dataset = open_pocket("rare")
    for part, shots in (("train", TRAIN), ("test", TEST)):
        split = getattr(dataset, part)
        for label, name in enumerate(dataset.classnames[:CLASSES]):
            own = folder / "photos" / part / name
            own.mkdir(parents=True)
            for row in np.flatnonzero(split.labels == label)[:shots]:
                split.load(int(row)).save(own / f"{row}.png")
    told = pocket_descriptions("rare", SENTENCES)
    write_json(folder / "corpus.json", {name: told[name] for name in dataset.classnames[:CLASSES]})


class Cluster:
    """Processes that were started together on one run.

    Args:
      small: The run.
      folder: Of its files.
      shared: Folder of what runs share: the world and the compiled programs.
      processes: How many.
      devices: Emulated devices of each.
      logs: Folder of what the processes print; by default that of the files.
      user: Whom all processes but the first belong to; their caches are their own.
      **changes: Further fields of the config.
    """

    def __init__(
        self,
        small: Small,
        folder: Path,
        shared: Path,
        processes: int,
        devices: int = 2,
        logs: Path | None = None,
        user: int | None = None,
        **changes: Any,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if not (shared / "world").exists():
            write_world(shared / "world")
        address = f"localhost:{free_port()}"
        self._processes = []
        for number in range(processes):
            own = {
                "PYTHONPATH": str(ROOT),
                "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
                "JAX_PLATFORMS": "cpu",
                "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            }
            if processes > 1:
                own["JAX_COORDINATOR_ADDRESS"] = address
                own["JAX_NUM_PROCESSES"], own["JAX_PROCESS_ID"] = str(processes), str(number)
            fields = dict(changes)
            if number and user is not None:
                own["HOME"] = str(folder / "other")
                fields |= {"cache": "~/cache", "compile_cache": "~/xla"}
            with ((logs or folder) / f"process-{number}.log").open("ab") as log:
                self._processes.append(
                    subprocess.Popen(
                        small.command(folder, shared, **fields),
                        cwd=ROOT,
                        env=os.environ | own,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        user=user if number else None,
                    )
                )

    def running(self) -> bool:
        """Whether all processes are alive."""
        return all(process.poll() is None for process in self._processes)

    def signal(self, number: int, process: int | None = None) -> None:
        """Sends a signal to one process, or to all."""
        chosen = self._processes if process is None else [self._processes[process]]
        for each in chosen:
            each.send_signal(number)

    def finish(self, grace: float = SLOW) -> list[int]:
        """Waits, and kills what is still there after `grace` seconds; gives the exit statuses."""
        deadline = time.monotonic() + grace
        for process in self._processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        return [process.returncode for process in self._processes]


def taken_away(workdir: Path) -> dict[str, Any]:
    """What a user takes away from a run, without what depends on the clock.

    Files by name: JSON less its timings and versions, all else as bytes. Checkpoints, events and
    the config, which names folders, are left out.
    """
    found: dict[str, Any] = {}
    for path in sorted(workdir.rglob("*")):
        name = path.relative_to(workdir).as_posix()
        if path.is_dir() or name.startswith(("checkpoints/", "events.")) or name == "config.json":
            continue
        if name == "metrics.jsonl":
            lines = path.read_text(encoding="utf-8").splitlines()
            found[name] = [_untimed(json.loads(line)) for line in lines]
        elif name == "result.json":
            found[name] = _untimed(json.loads(path.read_text(encoding="utf-8")))
        else:
            found[name] = path.read_bytes()
    return found


def _untimed(values: Mapping[str, Any]) -> dict[str, Any]:
    timed = ("seconds", "steps_per_second", "versions")
    return {name: value for name, value in values.items() if name not in timed}


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]
