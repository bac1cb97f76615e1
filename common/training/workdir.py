"""What a run leaves in its folder: the config it was given and the result it came to."""

import json
import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import jax
from ml_collections import ConfigDict

from common.config import flatten, to_json
from common.errors import UserError
from common.files import atomic_write, read_json, write_json
from common.names import file_stem
from common.paths import AnyPath, in_bucket, require_bucket, require_writable, within
from common.training.method import Evaluation
from common.training.writers import finite_or_none

HARMLESS = (
    "cache",
    "compile_cache",
    "eval_every",
    "keep",
    "log_every",
    "mesh.data",
    "mesh.model",
    "progress",
    "save_every",
    "wandb",
)
"""Fields that may change between a run and its resumption: what is learned stays the same."""

UNREADABLE = "remove it or give a new --workdir"

VERSIONED = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "promptax")


def check_workdir(workdir: AnyPath, config: ConfigDict) -> dict[str, Any] | None:
    """Refuses a folder that belongs to another run or cannot be written; writes nothing.

    Returns:
      The result, if the run is finished.

    Raises:
      UserError: `workdir` cannot be a folder of ours, or holds a run with another config.
    """
    require_bucket(workdir)
    if not in_bucket(workdir):
        require_writable(workdir, "--workdir", workdir)
    written = workdir / "config.json"
    if written.exists():
        _check_same(workdir, read_json(written, UNREADABLE), json.loads(to_json(config)))
    finished = workdir / "result.json"
    return read_json(finished, UNREADABLE) if finished.exists() else None


def write_config(workdir: AnyPath, config: ConfigDict) -> None:
    """Writes the resolved config to `workdir/config.json`."""
    with atomic_write(workdir / "config.json") as path:
        path.write_text(to_json(config), encoding="utf-8")


def write_result(workdir: AnyPath, result: Mapping[str, Any]) -> None:
    """Writes `workdir/result.json`, whose presence says that the run is finished."""
    write_json(workdir / "result.json", result)


def evaluation_file(workdir: AnyPath, dataset: str, part: str = "") -> AnyPath:
    """Where an `evaluate` command writes: `workdir/eval/NAME.json`, with the data set's name.

    Args:
      workdir: The run's folder.
      dataset: What is measured on.
      part: What was measured, where a run has several parts, e.g. "run1".

    Raises:
      UserError: Nothing can be written there.
    """
    folder = within(workdir, "eval")
    if not in_bucket(folder):
        require_writable(folder, "--workdir", workdir)
    return folder / f"{file_stem(dataset)}{part and f'~{part}'}.json"


def make_result(
    method: str, config: ConfigDict, evaluation: Evaluation, updates: int, seconds: float
) -> dict[str, Any]:
    """What `result.json` holds: what was run, what it came to and what it ran on."""
    return {
        "method": method,
        "dataset": config.data,
        "model": config.model,
        "seed": config.seed,
        "updates": updates,
        "metrics": _plain(evaluation.metrics),
        "baselines": _plain(evaluation.baselines),
        "details": _plain(evaluation.details),
        "seconds": seconds,
        "devices": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide a run's numbers."""
    found = {"python": platform.python_version()}
    for package in VERSIONED:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # Running from a checkout.
            found[package] = "not installed"
    return found


def _check_same(workdir: AnyPath, written: Mapping, given: Mapping) -> None:
    written, given = flatten(written), flatten(given)
    for name in sorted(written.keys() & given.keys() - {*HARMLESS}):
        if written[name] != given[name]:
            raise UserError(
                f"{workdir} holds a run with {name}={written[name]!r}, but now "
                f"{name}={given[name]!r}: give the same value, or a new --workdir."
            )
    for name in sorted((written.keys() ^ given.keys()) - {*HARMLESS}):
        has = "lacks" if name in given else "has"
        raise UserError(
            f"{workdir} holds a run of another version, whose config {has} the field {name!r}: "
            "give a new --workdir."
        )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return finite_or_none(value)
