"""Small runs in any number of processes on this machine."""

import atexit
import functools
import importlib
import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.small_runs import RUNS, SmallRun, write_world
from common.config import define_flags
from common.errors import run_command
from common.paths import AnyPath

ROOT = Path(__file__).resolve().parents[1]
# Compiling is what small runs spend their time on, so the compiler is told not to try hard.
QUICK = ("--xla_backend_optimization_level=0", "--xla_llvm_disable_expensive_passes=true")
SLOW = 1800.0  # Seconds after which a run counts as stuck.


class Cluster:
    """Processes that were started together on one run.

    Args:
      small: The run.
      folder: Of its files.
      shared: Folder of what runs share: the world and the compiled programs.
      processes: How many.
      devices: Emulated devices of each.
      logs: Folder of what the processes print; by default that of the files.
      workdir: The run's folder; by default "run" in `folder`.
      watched: Whether each process notes what it changes in the run's folder, for `written`.
      **changes: Further fields of the config.
    """

    def __init__(
        self,
        small: SmallRun,
        folder: Path,
        shared: Path,
        processes: int,
        devices: int = 2,
        logs: Path | None = None,
        workdir: AnyPath | None = None,
        watched: bool = False,
        **changes: Any,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if not (shared / "world").exists():
            write_world(shared / "world")
        address = f"localhost:{free_port()}"
        self._processes = []
        for number in range(processes):
            flags = [f"--xla_force_host_platform_device_count={devices}", *QUICK]
            environment = {**os.environ, "XLA_FLAGS": " ".join(flags)}
            if processes > 1:
                environment |= {
                    "JAX_COORDINATOR_ADDRESS": address,
                    "JAX_NUM_PROCESSES": str(processes),
                    "JAX_PROCESS_ID": str(number),
                }
            options = small.flags(folder, shared, workdir, **changes)
            log = (logs or folder) / f"process-{number}.log"
            watch = folder / "run" if watched else None
            process = _server().Process(
                target=_train, args=(small.name, options, environment, log, watch)
            )
            process.start()
            self._processes.append(process)

    def running(self) -> bool:
        """Return whether all processes are alive."""
        return all(process.is_alive() for process in self._processes)

    def signal(self, number: int, process: int | None = None) -> None:
        """Send a signal to one process, or to all."""
        chosen = self._processes if process is None else [self._processes[process]]
        for target in chosen:
            if target.is_alive():
                os.kill(target.pid, number)

    def finish(self, grace: float = SLOW) -> list[int | None]:
        """Wait, and kill what is left after `grace` seconds; return the exit statuses."""
        deadline = time.monotonic() + grace
        for process in self._processes:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()
        return [process.exitcode for process in self._processes]


@functools.cache
def _server() -> multiprocessing.context.ForkServerContext:
    """Return the parent of all processes: it has imported everything and touched no device."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload([f"{name}_jax.train" for name in RUNS] + ["tensorboardX"])
    return server


def _train(
    name: str, options: list[str], environment: Mapping[str, str], log: Path, watch: Path | None
) -> None:
    """Run what `python -m NAME_jax.train` does, in a process that was forked for it."""
    os.chdir(ROOT)
    os.environ.update(environment)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    if watch is not None:
        _note_changes(watch, log)
    sys.argv = [f"{name}_jax.train", *options]
    module = importlib.import_module(sys.argv[0])
    try:
        run_command(module.main, define_flags)
    finally:
        # multiprocessing leaves these out.
        atexit._run_exitfuncs()
        sys.stdout.flush()


CHANGE = "changed: "
"""What stands in front of a path in the log of a process that changed it."""

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate", "os.chmod")


def _note_changes(folder: Path, log: Path) -> None:
    """Note in the log what Python writes, moves or removes below `folder` from here on."""
    stream = log.open("a", encoding="utf-8", buffering=1)

    def note(event: str, arguments: tuple) -> None:
        if event not in _CHANGES and not (event == "open" and arguments[2] & _WRITING):
            return
        paths = [str(x) for x in arguments[:2] if isinstance(x, str | os.PathLike)]
        for path in paths:
            if path.startswith(str(folder)):
                stream.write(f"{CHANGE}{path}\n")

    sys.addaudithook(note)


def free_port() -> int:
    """Return a port without a listener."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]
