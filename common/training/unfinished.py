"""What a run has learned so far: its newest checkpoint, read without going on with the run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import PyTree

from common.config import read_config
from common.damage import cause
from common.errors import UserError
from common.nesting import nest
from common.paths import AnyPath
from common.progress import say

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
    # Orbax takes seconds to import, and few commands read a checkpoint.
    from common.training import checkpoint_files

    config = read_config(workdir)
    directory = workdir / "checkpoints"
    if not directory.is_dir():
        raise UserError(f"{workdir} has no checkpoint yet: train it on.")
    with checkpoint_files.open_manager(directory, read_only=True) as manager:
        steps = sorted(manager.all_steps(), reverse=True)
        for step in steps:
            try:
                note = checkpoint_files.read_note(manager, step)
                run = UnfinishedRun(
                    step=step,
                    trainable=_nested(checkpoint_files.read_arrays(manager, step, note)),
                    fingerprints=note["fingerprints"],
                    notes=note.get("notes", {}),
                )
            except Exception as error:  # Damage takes any form, and the run may remove old ones.
                checkpoint_files.say_unreadable(step, error)
            else:
                say(f"{workdir} is not finished: at step {step} of {config.get('updates', '?')}.")
                return run
    if steps:
        raise UserError(f"none of the {len(steps)} checkpoints in {directory} can be read.")
    raise UserError(f"{workdir} has no checkpoint yet: train it on.")


def say_changed_data(workdir: AnyPath, now: Callable[[], Mapping[str, str]]) -> None:
    """Say where a run's data are no longer those of its training.

    What was split off to be measured on may then hold examples that the run learned from.

    Args:
      workdir: The run's folder; one without checkpoints, such as a published run, tells nothing.
      now: Returns fingerprints of the data as they are now, by the names that the run recorded
        (see `RunInputs`): of "data", or of the part that is measured on, where this is cheaper to
        read. A name that the run did not record is passed over.
    """
    if changed_since(workdir, now, "its data"):
        say(
            f"The data of {workdir} have changed since it learned from them: what is measured may "
            "hold examples that it learned from."
        )


def say_changed_models(workdir: AnyPath, now: Mapping[str, str]) -> None:
    """Say where a run's models are no longer those of its training.

    Args:
      workdir: As of `say_changed_data`.
      now: Fingerprints of the models, by the names that the run recorded.
    """
    for name, before in changed_since(workdir, lambda: now, "its models").items():
        say(
            f"The {name} of {workdir} is not what it learned with (weights {before}, now "
            f"{now[name]}), and its figures are not those of its training; dtype=auto is float32 "
            "on a CPU and bfloat16 elsewhere."
        )


def changed_since(
    workdir: AnyPath, now: Callable[[], Mapping[str, str]], what: str
) -> dict[str, str]:
    """Return those fingerprints that a run recorded as others than they are now, as it did.

    Where they cannot be compared, a line says so.

    Args:
      workdir: As of `say_changed_data`.
      now: Likewise.
      what: The fingerprints are of, for the line.
    """
    directory = workdir / "checkpoints"
    if not directory.is_dir():
        return {}
    from common.training import checkpoint_files

    try:
        with checkpoint_files.open_manager(directory, read_only=True) as manager:
            before = checkpoint_files.read_note(manager, manager.latest_step())["fingerprints"]
        return {n: before[n] for n, x in now().items() if before.get(n, x) != x}
    except Exception as error:  # Damage takes any form, and the run itself is whole without them.
        say(f"What {workdir} learned from cannot be compared with {what} now ({cause(error)}).")
        return {}


def _nested(flat: Mapping[str, np.ndarray]) -> PyTree:
    """Return the learned arrays in nested dictionaries, as they were before they were saved."""
    learned = {
        name.removeprefix(LEARNED): np.asarray(leaf)
        for name, leaf in flat.items()
        if name.startswith(LEARNED)
    }
    return nest(learned, ".")
