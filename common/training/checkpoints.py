"""Checkpoints: the state, the position in data and metrics, and the clock, through Orbax."""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging
from jax.experimental import multihost_utils

from common.errors import UserError
from common.files import atomic_write
from common.hosts import place, to_host
from common.paths import AnyPath, within
from common.progress import say
from common.training.checkpoint_files import (
    checksum,
    open_manager,
    read_arrays,
    read_note,
    say_unreadable,
    step_name,
)
from common.training.sharding import by_path
from common.training.state import TrainState
from common.training.types import EVALUATION

# What fails in Orbax's threads is raised again by the next call; once is enough to tell it.
logging.get_absl_logger().addFilter(
    lambda entry: entry.levelno < logging.converter.STANDARD_ERROR or "orbax" not in entry.pathname
)


@dataclass(frozen=True)
class Position:
    """Where a run stands, beside its state.

    Attributes:
      step: Updates made; the source is stateless, so this is the position in the data too.
      seconds: Time spent so far, over all interruptions.
      metrics_bytes: Length of `metrics.jsonl`; a resumed run cuts the file back to it.
      sums: Metrics summed since the last line of metrics.
      count: Steps that `sums` holds.
    """

    step: int = 0
    seconds: float = 0.0
    metrics_bytes: int = 0
    sums: Mapping[str, float] = field(default_factory=dict)
    count: int = 0


@dataclass(frozen=True)
class RestoredCheckpoint:
    """A checkpoint that was read back."""

    state: TrainState
    position: Position


class Checkpoints:
    """The newest `keep` checkpoints in `directory`; use as a context manager.

    Args:
      directory: Made if it is absent; on a cluster all hosts must see it.
      keep: How many to keep.
      fingerprints: Name -> fingerprint of what the state depends on. A checkpoint made with
        others is refused.
      real_rows: See `Method`; what fills arrays up for this run's devices is not saved.
      notes: See `RunInputs`; kept with every checkpoint for whoever reads it without the data.
      earlier: See `RunInputs`.
    """

    def __init__(
        self,
        directory: AnyPath,
        keep: int,
        fingerprints: Mapping[str, str],
        real_rows: Mapping[str, int] | None = None,
        notes: Mapping[str, Any] | None = None,
        earlier: Mapping[str, Callable[[], str]] | None = None,
    ) -> None:
        self._fingerprints, self._real_rows = dict(fingerprints), dict(real_rows or {})
        self._notes, self._earlier = dict(notes or {}), dict(earlier or {})
        self._directory = directory
        self._manager = open_manager(directory, max_to_keep=keep, cleanup_tmp_directories=True)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        # Closing waits for the other processes; a defect of one of them is not shared.
        shared = error is None or isinstance(error, UserError | SystemExit)
        if shared or jax.process_count() == 1:
            self._manager.close()

    def save(self, state: TrainState, position: Position) -> None:
        """Save in the background; the state is copied before this returns.

        The files get their final name only when they are complete, so a run that is killed
        meanwhile finds the checkpoint before. They hold whole arrays and the first process
        writes them, so they do not depend on the devices: states are small.
        """
        if self._manager.latest_step() == position.step:
            return
        flat = self._flat(state)
        note = asdict(position) | {
            "fingerprints": self._fingerprints,
            "notes": self._notes,
            "checksum": checksum(flat),
        }
        self._manager.save(
            position.step,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(flat), position=ocp.args.JsonSave(note)
            ),
        )

    def wait(self) -> None:
        """Return when everything that was saved is on disk."""
        self._manager.wait_until_finished()

    def restore(self, like: TrainState) -> RestoredCheckpoint | None:
        """Return the newest checkpoint that can be read, on the devices and shardings of `like`.

        One that cannot be read is moved to the folder `unreadable` beside the checkpoints,
        and the one before takes its place. None: there are no checkpoints.

        Raises:
          UserError: The run depends on other weights or data than the checkpoint, or there
            are checkpoints and none can be read.
        """
        steps = sorted(self._manager.all_steps(), reverse=True)
        for step in steps:
            try:
                return self._read(step, like)
            except UserError:
                raise
            except Exception as error:  # Damage takes any form: bad JSON, short arrays, ...
                self._set_aside(step)
                say_unreadable(step, error)
        if steps:
            raise UserError(
                f"none of the {len(steps)} checkpoints in {self._directory} could be read; "
                "they were moved to 'unreadable' beside it, and the same command starts from "
                "the beginning."
            )
        return None

    def _read(self, step: int, like: TrainState) -> RestoredCheckpoint:
        note = read_note(self._manager, step)
        self._check_fingerprints(step, note["fingerprints"])
        flat = read_arrays(self._manager, step, note)
        self._check_shapes(step, flat, self._flat(like))
        # Shapes and shardings are those of this run, so that other devices can take over.
        whole = [
            np.concatenate([flat[name], leaf[len(flat[name]) :]]) if leaf.ndim else flat[name]
            for name, leaf in _named(to_host(like)).items()
        ]
        state = jax.tree.unflatten(jax.tree.structure(like), whole)
        shardings = jax.tree.map(lambda leaf: leaf.sharding, like)
        position = Position(**{name: note[name] for name in Position.__dataclass_fields__})
        return RestoredCheckpoint(place(state, shardings), position)

    def _flat(self, state: TrainState) -> dict[str, np.ndarray]:
        """Copy the real rows to this host: the next step takes over the state's memory."""
        return {
            name: np.array(leaf[: self._rows(name, leaf)]) if leaf.ndim else np.array(leaf)
            for name, leaf in _named(to_host(state)).items()
        }

    def _rows(self, name: str, leaf: np.ndarray) -> int:
        counts = (n for pattern, n in self._real_rows.items() if re.fullmatch(pattern, name))
        return next(counts, len(leaf))

    def _check_fingerprints(self, step: int, saved: Mapping[str, str]) -> None:
        """Refuse other data; names that an older version did not know are passed over."""
        for name in sorted(saved | self._fingerprints):
            before, now = saved.get(name), self._fingerprints.get(name)
            if now is None and name in self._earlier:
                now = self._earlier[name]()
            unread = now is None and name.startswith(EVALUATION)
            if before == now or before is None or unread:
                continue
            if name.startswith(EVALUATION):
                data = name.removeprefix(EVALUATION)
                say(f"{data}: changed since step {step} was saved; the new data are measured.")
                continue
            raise UserError(
                f"the checkpoint of step {step} in {self._directory} was made with other "
                f"{name} (fingerprint {before}, now {now}): give a new --workdir, or "
                f"bring the old {name} back."
            )

    def _check_shapes(
        self, step: int, saved: Mapping[str, np.ndarray], ours: Mapping[str, np.ndarray]
    ) -> None:
        """Refuse a whole checkpoint of another state, which no damage explains."""
        shapes = [{name: np.shape(leaf) for name, leaf in x.items()} for x in (saved, ours)]
        if differing := sorted(set(shapes[0].items()) ^ set(shapes[1].items())):
            name = differing[0][0]
            there, here = (x.get(name, "none") for x in shapes)
            raise UserError(
                f"the checkpoint of step {step} in {self._directory} has {name} of the shape "
                f"{there}, and this run {here}: give the config and the versions of packages that "
                "it was made with, or a new --workdir."
            )

    def _set_aside(self, step: int) -> None:
        if jax.process_index() == 0:
            aside = within(self._directory.parent, "unreadable")
            # A bucket has no empty folders, and nothing can be moved to what is not there.
            with atomic_write(aside / "README") as note:
                note.write_text("What could not be read. Nothing needs it any more.\n")
            name = step_name(step)
            taken = len(list(aside.glob(f"{name}*")))
            (self._directory / name).rename(aside / (f"{name}.{taken}" if taken else name))
        multihost_utils.sync_global_devices("checkpoint set aside")
        self._manager.reload()


def _named(state: TrainState) -> dict[str, np.ndarray]:
    # One flat dictionary, so that what lies on disk depends on no class of ours or optax's.
    return {path.replace("/", "."): leaf for path, leaf in by_path(state).items()}
