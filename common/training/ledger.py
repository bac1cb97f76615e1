"""The host's record: what the device reported, and what of it was passed on."""

import time
from collections.abc import Mapping

import jax

from common.errors import UserError
from common.progress import Progress
from common.training.checkpoints import Position
from common.training.method import Method
from common.training.schedule import Schedule
from common.training.step import CallResult
from common.training.utilisation import FlopMeter
from common.training.writers import MetricWriter


class TrainingDiverged(UserError):
    """A step's loss or updated values were infinite or NaN.

    The exit status is 1: the command was in order, and ran, and failed.

    Attributes:
      step: The step that was refused; the state is the one before it.
    """

    exit_status = 1

    def __init__(self, step: int) -> None:
        super().__init__(
            f"training diverged: the loss or the update of step {step} is not finite. The "
            "newest checkpoint holds the state before it; lower the learning rate and give a "
            "new --workdir."
        )
        self.step = step


class Ledger:
    """Keeps the running means of a run and writes them down when they are due.

    Args:
      method: Says which metrics the bar shows and what the learning rates are.
      schedule: When lines are due.
      position: Where the run starts; it brings the sums since the last line.
      started: `time.monotonic()` when this process began.
      metrics: Where the lines go.
      progress: The bar, which is updated with every call.
      meter: Tells how much of the chips' arithmetic a speed comes to.
    """

    def __init__(
        self,
        method: Method,
        schedule: Schedule,
        position: Position,
        started: float,
        metrics: MetricWriter,
        progress: Progress,
        meter: FlopMeter,
    ) -> None:
        self._method, self._schedule = method, schedule
        self._metrics, self._progress, self._meter = metrics, progress, meter
        self._step, self._sums, self._count = position.step, dict(position.sums), position.count
        self._started = started - position.seconds
        self._pending: tuple[int, CallResult] | None = None

    @property
    def seconds(self) -> float:
        """Time spent on the run, over all interruptions."""
        return time.monotonic() - self._started

    def position(self) -> Position:
        """Return what a checkpoint holds beside the state; every report must be settled."""
        length = self._metrics.length
        return Position(self._step, self.seconds, length, dict(self._sums), self._count)

    def expect(self, report: CallResult, step: int) -> None:
        """Note the report of a call that was just sent and should arrive at `step`."""
        self._pending = (step, report)

    def settle(self) -> None:
        """Wait for the expected report, if there is one, and book it.

        Raises:
          TrainingDiverged: A step was refused. Its call is not booked.
        """
        if self._pending is None:
            return
        (expected, report), self._pending = self._pending, None
        report = jax.device_get(report)
        self._step = int(report.step)
        if self._step < expected:
            raise TrainingDiverged(self._step)
        self._count += int(report.count)
        for name, value in report.sums.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value)
        shown = [name for name in self._method.terms if name in report.sums] or ["loss"]
        means = {short(name): float(report.sums[name] / report.count) for name in shown}
        self._progress.update(self._step, means | self._utilisation("MFU"))
        if self._schedule.logs_at(self._step):
            self._metrics.write(self._step, self._line())
            self._sums, self._count = {}, 0

    def _line(self) -> dict[str, float | None]:
        """Return a line of metrics: means since the last one, learning rates, the speed."""
        means = {name: total / self._count for name, total in self._sums.items()}
        rates = self._method.learning_rates(self._step - 1)
        timings = {"seconds": self.seconds, "steps_per_second": self._progress.speed}
        return {**means, **rates, **timings, **self._utilisation("flop_utilisation")}

    def _utilisation(self, name: str) -> dict[str, float]:
        share = self._meter.utilisation(self._progress.speed)
        return {name: share} if share else {}


def short(term: str) -> str:
    """Return a metric's name without its variant's, as the bar shows it."""
    return term.rpartition("/")[2]


def legend(terms: Mapping[str, str]) -> str:
    """Return a line that says what the bar shows."""
    return "Shown: " + "; ".join(f"{short(name)}, {text}" for name, text in terms.items()) + "."
