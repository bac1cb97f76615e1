"""A run's metrics: `metrics.jsonl`, pictures and TensorBoard events, by the first host."""

import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from common.errors import UserError
from common.files import read_bytes
from common.paths import AnyPath, within
from common.pictures import write_png
from common.training.growing import GrowingFiles
from common.training.wandb_writer import WandbWriter


def finite_or_none(value: Any) -> Any:
    """Return `value` as a plain Python number, or None where JSON has no word for it."""
    number = value.item() if hasattr(value, "item") else value
    return None if isinstance(number, float) and not math.isfinite(number) else number


PREFIX = "eval/"
"""What the metrics of evaluations are called by."""

PICTURES = "pictures"
"""The folder of the pictures of every evaluation, one folder for each step."""


def read_evaluations(workdir: AnyPath, before: int, length: int) -> list[dict[str, float | None]]:
    """Return the metrics of a run's evaluations ahead of step `before`, oldest first.

    Args:
      workdir: The run's folder.
      before: The step.
      length: Bytes of `metrics.jsonl` that count; what follows may be half a line.

    Raises:
      UserError: The file is damaged.
    """
    path = within(workdir, "metrics.jsonl")
    if not before or not path.exists():
        return []
    remedy = "bring it back, or give a new --workdir"
    evaluations = []
    for number, text in enumerate(read_bytes(path, remedy)[:length].splitlines(), start=1):
        try:
            line = json.loads(text)
            if line["step"] >= before:
                break
            values = {n.removeprefix(PREFIX): x for n, x in line.items() if n.startswith(PREFIX)}
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise UserError(f"line {number} of {path} cannot be read: {remedy}.") from None
        if values:
            evaluations.append(values)
    return evaluations


class MetricWriter:
    """Appends to a run's metrics; use as a context manager.

    Args:
      workdir: The run's folder.
      step: Where the run resumes. TensorBoard forgets what came after it.
      length: Bytes of `metrics.jsonl` that the run had written by then. What follows was
        written by an interrupted run after its last checkpoint, and is written once more.
      others: Further writers, which receive the same.
    """

    def __init__(
        self,
        workdir: AnyPath,
        step: int = 0,
        length: int = 0,
        others: Sequence[WandbWriter] = (),
    ) -> None:
        self._lines = self._events = None
        self._workdir, self._others = workdir, others
        if jax.process_index() != 0:
            return
        self._files = GrowingFiles(workdir)
        path = self._files.fetch("metrics.jsonl")
        if path.stat().st_size > length:
            os.truncate(path, length)
        self._lines = path.open("a", encoding="utf-8")
        self._events = _Events(self._files.folder, step + 1)

    def __enter__(self) -> "MetricWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._lines is None:
            return
        try:
            self._lines.close()
        finally:
            self._events.close()
        self._files.close()
        for other in self._others:
            other.close(failed=kind is not None)

    @property
    def length(self) -> int:
        """Bytes of `metrics.jsonl` so far; 0 on hosts that do not write."""
        return 0 if self._lines is None else self._lines.tell()

    def write(self, step: int, values: Mapping[str, Any]) -> None:
        """Write a line `{"step": step, **values}`; NaN becomes null.

        It is on disk when this returns, and in a bucket after the next `flush`.
        """
        if self._lines is None:
            return
        values = {name: finite_or_none(value) for name, value in values.items()}
        self._lines.write(json.dumps({"step": step, **values}) + "\n")
        self._lines.flush()
        for name, value in values.items():
            if value is not None:
                self._events.scalar(step, name, value)
        if self._files.due():
            self.flush()
        for other in self._others:
            other.write(step, values)

    def flush(self) -> None:
        """Wait until all writing is done; a checkpoint relies on the lines before it."""
        if self._events is not None:
            self._events.flush()
            self._files.send()

    def pictures(self, step: int, pictures: Mapping[str, np.ndarray]) -> None:
        """Keep uint8 images [height, width, 3] as `pictures/STEP/NAME.png`, and show them."""
        if self._events is None:
            return
        for name, picture in pictures.items():
            file = within(self._workdir, PICTURES, f"{step:08d}", f"{name}.png")
            write_png(file, picture)
            self._events.image(step, name, picture)
        self.flush()
        for other in self._others:
            other.pictures(step, pictures)


class _Events:
    """TensorBoard's file, written in the caller's thread.

    tensorboardX's own writer has a thread, which a full disk ends; the run then waits for it.

    Args:
      folder: Where the file goes.
      forget: The step from which TensorBoard is to forget what other files hold.
    """

    def __init__(self, folder: Path, forget: int) -> None:
        # tensorboardX takes two seconds to import, so only a run that writes pays for it.
        from tensorboardX import summary
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        self._summary, self._event = summary, Event
        self._file = EventsWriter(str(folder / "events"))
        self._write(forget, session_log=SessionLog(status=SessionLog.START))

    def scalar(self, step: int, name: str, value: float | int) -> None:
        self._write(step, summary=self._summary.scalar(name, value))

    def image(self, step: int, name: str, picture: np.ndarray) -> None:
        self._write(step, summary=self._summary.image(name, picture, dataformats="HWC"))

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def _write(self, step: int, **what: Any) -> None:
        self._file.write_event(self._event(wall_time=time.time(), step=step, **what))
