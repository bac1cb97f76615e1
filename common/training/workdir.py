"""A run's folder: whether it may be written, whose run it holds, and that run's config."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from common.config import flatten, require_essential, to_json
from common.errors import UserError
from common.files import atomic_write, read_json
from common.names import file_stem
from common.old_spellings import spelled_today
from common.paths import (
    AnyPath,
    in_bucket,
    require_bucket,
    require_plain,
    require_writable,
    within,
)
from common.training.results import read_result

HARMLESS = (
    "cache",
    "compile_cache",
    "eval_every",
    "keep",
    "log_every",
    "mesh.data",
    "mesh.model",
    "preview.",
    "preview_every",
    "profile",
    "progress",
    "save_every",
    "wandb",
)
"""Fields, or groups of them, that may change between a run and its resumption: what is learned
stays the same."""

LOOP_WRITES = (
    "checkpoints",
    "config.json",
    "eval",
    "metrics.jsonl",
    "pictures",
    "profile",
    "result.json",
    "unreadable",
    "wandb.json",
)
"""What the loop writes into a run's folder; `Method.writes` names what a method adds."""

EVENTS = "events.*"
"""TensorBoard's files."""

UNREADABLE = "remove it or give a new --workdir"

_STEP = re.compile(r"\d+")


def check_workdir(
    workdir: AnyPath,
    config: ConfigDict,
    evaluation_fields: Sequence[str] = (),
    writes: Sequence[str] = (),
    defaults: ConfigDict | None = None,
    decisive: Sequence[str] = (),
) -> dict[str, Any] | None:
    """Refuse a folder that belongs to another run or cannot be written, without writing.

    A run without a saved update may be given any other config.

    Args:
      workdir: The run's folder.
      config: What the run is to be.
      evaluation_fields: See `Method`; they may differ as the harmless ones may.
      writes: See `Method`.
      defaults: Of the method's fields. A run that is older than a field did what its default
        says; where it did not, `common.old_spellings` holds what it did.
      decisive: See `Method`.

    Returns:
      The result, if the run is finished.

    Raises:
      UserError: `workdir` cannot be a folder of ours, or holds a run with another config.
    """
    require_bucket(workdir)
    if not in_bucket(workdir):
        _check_folder(workdir, writes)
    config_file, result_file = workdir / "config.json", workdir / "result.json"
    if config_file.exists():
        stored, requested = flatten(_read_config(config_file)), _flat(config)
        younger = {name: x for name, x in _flat(defaults).items() if name in requested}
        if has_update(workdir):
            free = (*HARMLESS, *evaluation_fields)
            _check_same(workdir, younger | stored, requested, free, decisive)
    return _read_result(result_file) if result_file.exists() else None


def changed_fields(workdir: AnyPath, config: ConfigDict) -> dict[str, Any]:
    """Return the fields, with their new values, that are not as in the folder's config.

    Those that change nothing but how a run is made are left out.
    """
    if not (workdir / "config.json").exists():
        return {}
    theirs, ours = flatten(_read_config(workdir / "config.json")), _flat(config)
    return {
        name: value
        for name, value in ours.items()
        if not is_among(name, HARMLESS) and name in theirs and theirs[name] != value
    }


def has_update(workdir: AnyPath) -> bool:
    """Return whether a run has saved an update there, or has come to its end."""
    checkpoints = workdir / "checkpoints"
    if (workdir / "result.json").exists():
        return True
    return checkpoints.is_dir() and any(_STEP.fullmatch(x.name) for x in checkpoints.iterdir())


def _read_config(path: AnyPath) -> dict[str, Any]:
    fields = spelled_today(read_json(path, UNREADABLE))
    require_essential(fields, path, "give a new --workdir")
    return fields


def _read_result(path: AnyPath) -> dict[str, Any]:
    read_result(path, UNREADABLE)  # Refuses what tables could not show.
    result = read_json(path, UNREADABLE)
    if type(result.get("updates")) is not int:
        raise UserError(f"{path} does not say how many updates it is of: {UNREADABLE}.")
    return result


def _check_folder(workdir: Path, writes: Sequence[str]) -> None:
    require_writable(workdir, "--workdir", workdir)
    for path in (*(workdir / name for name in (*LOOP_WRITES, *writes)), *workdir.glob(EVENTS)):
        require_plain(path, below=True)


def write_config(workdir: AnyPath, config: ConfigDict) -> None:
    """Write the resolved config to `workdir/config.json`."""
    with atomic_write(within(workdir, "config.json")) as path:
        path.write_text(to_json(config), encoding="utf-8")


def evaluation_file(workdir: AnyPath, dataset: str, part: str = "") -> AnyPath:
    """Return where `evaluate` writes: `workdir/eval/NAME.json`, with the data set's name.

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


def _flat(config: ConfigDict | None) -> dict[str, Any]:
    """Return a config by dotted name, with values as JSON holds them."""
    return {} if config is None else flatten(json.loads(to_json(config)))


def evaluation_settings(config: ConfigDict, evaluation_fields: Sequence[str]) -> dict[str, Any]:
    """Return the fields that only evaluation reads by dotted name, as JSON holds them."""
    return {name: x for name, x in _flat(config).items() if is_among(name, evaluation_fields)}


def _check_same(
    workdir: AnyPath,
    stored: Mapping[str, Any],
    requested: Mapping[str, Any],
    free: Sequence[str],
    decisive: Sequence[str],
) -> None:
    free = {x for x in (*stored, *requested) if is_among(x, free) and x not in decisive}
    for name in sorted((stored.keys() & requested.keys()) - free):
        if stored[name] != requested[name]:
            raise UserError(
                f"{workdir} holds a run with {name}={stored[name]!r}, but now "
                f"{name}={requested[name]!r}: give the same value, or a new --workdir."
            )
    for name in sorted((stored.keys() ^ requested.keys()) - free):
        has = "lacks" if name in requested else "has"
        raise UserError(
            f"{workdir} holds a run of another version, whose config {has} the field {name!r}: "
            "give a new --workdir."
        )


def is_among(name: str, fields: Sequence[str]) -> bool:
    """Return whether a field is named, by itself or by its group ("generate.")."""
    return any(
        name == field or (field.endswith(".") and name.startswith(field)) for field in fields
    )
