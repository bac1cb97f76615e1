"""What a run has learned so far: its newest checkpoint, read without going on with the run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orbax.checkpoint as ocp
from jaxtyping import PyTree

from common.config import read_config
from common.damage import cause
from common.errors import UserError
from common.nesting import nest
from common.paths import AnyPath, in_bucket
from common.progress import say
from common.training.checkpoints import read_arrays, read_note

LEARNED = "trainable."
"""How the names of the learned arrays begin in a checkpoint."""


@dataclass(frozen=True)
class UnfinishedRun:
    """The newest checkpoint that can be read, on this machine's memory alone.

    Attributes:
      step: Updates made.
      trainable: The method's learned tree, as `Method.save` is given it, less the rows that
        only filled up the run's devices. Names are those of the tree's dictionaries.
      fingerprints: As the run began: its `RunInputs.fingerprints`, and "data".
      notes: As the run began: its `RunInputs.notes`.
    """

    step: int
    trainable: PyTree
    fingerprints: Mapping[str, str]
    notes: Mapping[str, Any]


def read_unfinished(workdir: AnyPath) -> UnfinishedRun:
    """Return what the run in `workdir` has learned, and say at which step it stands.

    Neither weights nor data are loaded, no other device than the host is touched and nothing in
    the folder is changed, so the run may go on meanwhile.

    Raises:
      UserError: There is no checkpoint, or none that can be read.
    """
    config = read_config(workdir)
    directory = workdir / "checkpoints"
    if not directory.is_dir():
        raise UserError(f"{workdir} has no checkpoint yet: train it on.")
    with _opened(directory) as manager:
        steps = sorted(manager.all_steps(), reverse=True)
        for step in steps:
            try:
                note = read_note(manager, step)
                run = UnfinishedRun(
                    step=step,
                    trainable=_nested(read_arrays(manager, step, note)),
                    fingerprints=note["fingerprints"],
                    notes=note.get("notes", {}),
                )
            except Exception as error:  # Damage takes any form, and the run may remove old ones.
                say(f"The checkpoint of step {step} cannot be read ({cause(error)}).")
            else:
                say(f"{workdir} is not finished: at step {step} of {config.get('updates', '?')}.")
                return run
    if steps:
        raise UserError(f"none of the {len(steps)} checkpoints in {directory} can be read.")
    raise UserError(f"{workdir} has no checkpoint yet: train it on.")


def say_changed_data(workdir: AnyPath, fingerprint: str) -> None:
    """Say where a run's data are no longer those that it learned from.

    Its test part is then another one, too, and may hold examples that it learned from.

    Args:
      workdir: The run's folder; one without checkpoints, such as a published run, tells nothing.
      fingerprint: Of the data's training part as it is now.
    """
    directory = workdir / "checkpoints"
    if not directory.is_dir():
        return
    try:
        with _opened(directory) as manager:
            before = read_note(manager, manager.latest_step())["fingerprints"]["data"]
    except Exception as error:  # Damage takes any form, and the run itself is whole without them.
        say(f"What {workdir} learned from cannot be compared with its data now ({cause(error)}).")
        return
    if before != fingerprint:
        say(
            f"The data of {workdir} have changed since it learned from them: what is measured may "
            "hold examples that it learned from."
        )


def _opened(directory: AnyPath) -> ocp.CheckpointManager:
    options = ocp.CheckpointManagerOptions(read_only=True, step_format_fixed_length=8)
    absolute = directory if in_bucket(directory) else directory.absolute()
    return ocp.CheckpointManager(absolute, options=options)


def _nested(flat: Mapping[str, np.ndarray]) -> PyTree:
    """Return the learned arrays as the nested dictionaries of before the checkpoint."""
    learned = {
        name.removeprefix(LEARNED): np.asarray(leaf)
        for name, leaf in flat.items()
        if name.startswith(LEARNED)
    }
    return nest(learned, ".")
