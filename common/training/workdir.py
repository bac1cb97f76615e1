"""What a run leaves in its folder: the config it was given and the result it came to."""

import json
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from common.config import flatten, to_json
from common.errors import UserError
from common.files import atomic_write
from common.training.writers import finite_or_none

HARMLESS = (
    "compile_cache",
    "eval_every",
    "keep",
    "log_every",
    "mesh.data",
    "mesh.model",
    "progress",
    "save_every",
)
"""Fields that may change between a run and its resumption: they do not change what is learned."""

VERSIONED = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "promptax")


def check_workdir(workdir: Path, config: ConfigDict) -> dict[str, Any] | None:
    """Refuses a folder that belongs to another run; writes nothing.

    Returns:
      The result, if the run is finished.

    Raises:
      UserError: `workdir` is no folder, or holds a run with another config.
    """
    if workdir.exists() and not workdir.is_dir():
        raise UserError(f"--workdir={workdir} is a file; give a folder.")
    written = workdir / "config.json"
    if written.exists():
        _check_same(workdir, _read_json(written), json.loads(to_json(config)))
    finished = workdir / "result.json"
    return _read_json(finished) if finished.exists() else None


def write_config(workdir: Path, config: ConfigDict) -> None:
    """Writes the resolved config to `workdir/config.json`."""
    with atomic_write(workdir / "config.json") as path:
        path.write_text(to_json(config), encoding="utf-8")


def write_result(workdir: Path, result: Mapping[str, Any]) -> None:
    """Writes `workdir/result.json`, whose presence says that the run is finished."""
    with atomic_write(workdir / "result.json") as path:
        path.write_text(json.dumps(_plain(result), indent=2) + "\n", encoding="utf-8")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide a run's numbers."""
    found = {"python": platform.python_version()}
    for package in VERSIONED:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # Running from a checkout.
            found[package] = "not installed"
    return found


def _check_same(workdir: Path, written: Mapping, given: Mapping) -> None:
    written, given = flatten(written), flatten(given)
    for name in sorted(written | given):
        before, now = written.get(name, "absent"), given.get(name, "absent")
        if before != now and name not in HARMLESS:
            raise UserError(
                f"{workdir} holds a run with {name}={before!r}, but now {name}={now!r}: give "
                "the same value, or a new --workdir."
            )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is no JSON ({error}): remove it or give a new --workdir.") from None


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return finite_or_none(value)
