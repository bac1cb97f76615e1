import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import jax
import pytest

from common.training.mesh import use_compile_cache

ROOT = Path(__file__).parents[2]
TOY = Path(__file__).with_name("toy.py")


def _load_toy() -> ModuleType:
    spec = importlib.util.spec_from_file_location("toy", TOY)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Runs:
    """Runs of the toy method, in this process or in one of their own.

    They share a cache of compiled programs, which saves most of their time.
    """

    def __init__(self, cache: Path) -> None:
        self.toy = _load_toy()
        self._cache = cache

    def train(self, workdir: Path, arg: str = "") -> dict:
        config = self.toy.get_config(arg)
        config.compile_cache = str(self._cache)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        try:
            return self.toy.train(self.toy.Toy(config), workdir)
        finally:
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 1.0)
            use_compile_cache("")

    def start(self, workdir: Path, arg: str = "", **environment: str) -> subprocess.Popen:
        command = [sys.executable, str(TOY), f"--config={TOY}:{arg}", f"--workdir={workdir}"]
        command.append(f"--config.compile_cache={self._cache}")
        own = {"PYTHONPATH": str(ROOT), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | own | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def final_state(workdir: Path) -> str:
    """The checksum over every byte of the last state, moments and counters included."""
    newest = max((workdir / "checkpoints").iterdir())
    return json.loads((newest / "position" / "metadata").read_text())["checksum"]


def told(workdir: Path) -> list[dict]:
    """The lines of metrics, less what depends on the clock."""
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    timings = ("seconds", "steps_per_second")
    return [{name: v for name, v in line.items() if name not in timings} for line in lines]


@pytest.fixture(scope="session")
def runs(tmp_path_factory) -> Runs:
    return Runs(tmp_path_factory.mktemp("compiled"))


@pytest.fixture(scope="session")
def undisturbed(runs, tmp_path_factory) -> Path:
    """The folder of a run that nothing interrupted."""
    workdir = tmp_path_factory.mktemp("undisturbed")
    runs.train(workdir)
    return workdir


@pytest.fixture(scope="session")
def same_run():
    """Asserts that two folders hold the same run, to the last bit."""

    def check(workdir: Path, other: Path) -> None:
        assert final_state(workdir) == final_state(other)
        assert (workdir / "tokens.npy").read_bytes() == (other / "tokens.npy").read_bytes()
        assert told(workdir) == told(other)
        result, expected = (json.loads((w / "result.json").read_text()) for w in (workdir, other))
        assert result["metrics"] == expected["metrics"]

    return check
