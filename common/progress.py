"""Progress of long passes: a bar on a terminal, a plain line now and then elsewhere."""

import math
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn
from rich.progress import Progress as Bar

from common.lazy import in_cluster
from common.text import printable

PLAIN_SECONDS = 5.0
"""Pause between plain lines."""

_WINDOW = 64  # Updates that the speed is measured over.

_console = Console(highlight=False, soft_wrap=True, markup=False)


def say(text: str) -> None:
    """Print a line on the first host, above a bar that may be running."""
    if _speaks():
        _console.print(printable(text, lines=True))


def _speaks() -> bool:
    """Return whether this process is the first, or is not in a cluster yet.

    A cluster has to be joined ahead of any use of devices, and to ask for this process's number
    is one; what is said before that, every process says.
    """
    return not in_cluster() or sys.modules["jax"].process_index() == 0


class Progress:
    """Shows how far a pass of `total` steps is; use as a context manager.

    Args:
      total: Number of steps.
      name: What is being done, e.g. "Encoding images".
      start: Steps done before this pass.
      status: Shown until the first update, e.g. "compiling…".
      unit: What is counted, in the plural.
      show: False for silence. Hosts other than the first are silent too.
    """

    def __init__(
        self,
        total: int,
        name: str,
        *,
        start: int = 0,
        status: str = "",
        unit: str = "steps",
        show: bool = True,
    ) -> None:
        self._total, self._name, self._unit, self._status = total, name, unit, status
        self._times: deque[tuple[float, int]] = deque(maxlen=_WINDOW)
        self._show = show and _speaks()
        self._last_line, self._last_done = -math.inf, -1
        self._bar: Bar | None = None
        if self._show and _console.is_terminal:
            columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn())
            detail = TextColumn("{task.fields[detail]}")
            self._bar = Bar(*columns, MofNCompleteColumn(), detail, console=_console)
            self._task = self._bar.add_task(name, total=total, completed=start, detail=status)

    def __enter__(self) -> "Progress":
        if self._bar is not None:
            self._bar.start()
        elif self._show and self._status:
            _console.print(f"{self._name}: {self._status}")
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, done: int, values: Mapping[str, float] | None = None) -> None:
        """Count `done` steps as complete; `values` are shown beside the speed."""
        now = time.monotonic()
        self._times.append((now, done))
        if not self._show:
            return
        shown = [f"{name} {value:.4g}" for name, value in (values or {}).items()]
        detail = printable("  ".join([*shown, *self._pace(done)]))
        if self._bar is not None:
            self._bar.update(self._task, completed=done, detail=detail)
        elif now - self._last_line >= PLAIN_SECONDS or done == self._total != self._last_done:
            self._last_line, self._last_done = now, done
            _console.print(f"{self._name}: {done}/{self._total}  {detail}".rstrip())

    @contextmanager
    def paused(self, status: str) -> Iterator[None]:
        """Take the bar away while the body does something else, which is named by `status`."""
        if self._bar is not None:
            self._bar.stop()
        if self._show:
            _console.print(f"{self._name}: {status}")
        yield
        self._times.clear()  # The pause says nothing about the speed.
        if self._bar is not None:
            self._bar.start()

    @property
    def speed(self) -> float | None:
        """Steps per second over the last updates; None until there are two."""
        if not self._times:
            return None
        (first, done_first), (last, done_last) = self._times[0], self._times[-1]
        return (done_last - done_first) / (last - first) if last > first else None

    def _pace(self, done: int) -> list[str]:
        if not self.speed:
            return []
        left = round((self._total - done) / self.speed)
        clock = f"{left // 3600}:{left // 60 % 60:02d}:{left % 60:02d}"
        return [f"{self.speed:.3g} {self._unit}/s", f"{clock} left"]
