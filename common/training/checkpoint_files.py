"""What Orbax keeps of a checkpoint: its arrays by name, and a note in JSON beside them."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import orbax.checkpoint as ocp
from absl import logging

from common.damage import cause
from common.errors import UserError
from common.paths import AnyPath, in_bucket
from common.progress import say

# Orbax warns of a manager that only reads, as was asked for.
_READS = re.compile("read_only=True|directory is read only")
logging.get_absl_logger().addFilter(lambda entry: not _READS.search(str(entry.msg)))

_DIGITS = 8
"""Of a step in the name of its checkpoint."""


def open_manager(directory: AnyPath, **options: Any) -> ocp.CheckpointManager:
    """Return Orbax's manager of the checkpoints in a folder, with these options."""
    absolute = directory if in_bucket(directory) else directory.absolute()
    named = ocp.CheckpointManagerOptions(step_format_fixed_length=_DIGITS, **options)
    return ocp.CheckpointManager(absolute, options=named)


def step_name(step: int) -> str:
    """Return the name of the folder of a step's checkpoint."""
    return f"{step:0{_DIGITS}}"


def holds_step(directory: AnyPath, step: int) -> bool:
    """Return whether a folder has a checkpoint of a step, readable or not."""
    return (directory / step_name(step)).is_dir()


def lost_end(workdir: AnyPath, step: int) -> UserError:
    """Return the error for a finished run that has no checkpoint of its last step."""
    return UserError(
        f"{workdir} lacks the checkpoint of its last step, {step}, without which it "
        "cannot be evaluated again: bring it back, or give a new --workdir."
    )


def read_note(manager: ocp.CheckpointManager, step: int) -> dict[str, Any]:
    """Return the note that a checkpoint holds beside its arrays."""
    args = ocp.args.Composite(position=ocp.args.JsonRestore())
    return manager.restore(step, args=args).position


def read_arrays(
    manager: ocp.CheckpointManager, step: int, note: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Return the arrays of a checkpoint by name, as they were saved.

    Raises:
      ValueError: They are not those that were saved.
    """
    args = ocp.args.Composite(state=ocp.args.StandardRestore())
    flat = manager.restore(step, args=args).state
    if checksum(flat) != note["checksum"]:
        raise ValueError("its bytes are not those that were saved")
    return flat


def say_unreadable(step: int, error: Exception) -> None:
    """Say why the checkpoint of a step is passed over."""
    say(f"The checkpoint of step {step} cannot be read ({cause(error)}).")


def checksum(flat: Mapping[str, np.ndarray]) -> str:
    """Return a digest that changes with any name, dtype, shape or byte of some arrays."""
    digest = hashlib.sha256()
    for name, leaf in sorted(flat.items()):
        digest.update(json.dumps([name, str(leaf.dtype), leaf.shape]).encode())
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()
