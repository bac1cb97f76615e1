"""When a run logs, saves, evaluates and draws, and how its steps are grouped into calls."""

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields

from ml_collections import ConfigDict

from common.checks import Range, check_number
from common.errors import UserError


@dataclass(frozen=True)
class Schedule:
    """Counts of steps; the field names are those of the config.

    Attributes:
      updates: Steps of the whole run.
      steps_per_call: Steps that the device makes before it reports to the host.
      log_every: A line of metrics (means since the line before) every so many steps.
      save_every: A checkpoint every so many steps; 0: at the end only.
      eval_every: An evaluation every so many steps; 0: at the end only.
      preview_every: Pictures every so many steps and at the end; 0: none. A config may lack it.
    """

    updates: int
    steps_per_call: int
    log_every: int
    save_every: int
    eval_every: int
    preview_every: int = 0

    @classmethod
    def from_config(cls, config: ConfigDict) -> "Schedule":
        """Read and check the fields.

        Raises:
          UserError: A field is missing, out of range or not a multiple of `steps_per_call`.
        """
        counts = {name: config[name] for name in cls.__dataclass_fields__ if name in config}
        needed = (x.name for x in fields(cls) if x.default is MISSING)
        if missing := [name for name in needed if name not in counts]:
            raise UserError(f"the config has no field {missing[0]!r}, which the loop needs.")
        return cls(**counts)

    def __post_init__(self) -> None:
        lowest = {"updates": 1, "steps_per_call": 1, "log_every": 1}
        for name in self.__dataclass_fields__:
            check_number(name, getattr(self, name), Range(lowest.get(name, 0)))
        for name in ("log_every", "save_every", "eval_every", "preview_every"):
            value = getattr(self, name)
            if value % self.steps_per_call:
                raise UserError(
                    f"{name}={value} is not a multiple of steps_per_call={self.steps_per_call}: "
                    f"the host hears of the device only every {self.steps_per_call} steps."
                )

    def calls(self, start: int) -> Iterator[range]:
        """Yield the steps of each call from `start` on.

        Calls end at multiples of `steps_per_call` and at `updates`, wherever the run starts,
        so that a resumed run falls into step with an undisturbed one.
        """
        while start < self.updates:
            boundary = (start // self.steps_per_call + 1) * self.steps_per_call
            stop = min(boundary, self.updates)
            yield range(start, stop)
            start = stop

    def logs_at(self, step: int) -> bool:
        """Return whether a line of metrics is due after `step` updates."""
        return step == self.updates or step % self.log_every == 0

    def saves_at(self, step: int) -> bool:
        """Return whether a checkpoint is due after `step` updates."""
        return step == self.updates or (self.save_every > 0 and step % self.save_every == 0)

    def evaluates_at(self, step: int) -> bool:
        """Return whether an evaluation is due after `step` updates; there is none at step 0."""
        due = self.eval_every > 0 and step > 0 and step % self.eval_every == 0
        return step == self.updates or due

    def previews_at(self, step: int) -> bool:
        """Return whether pictures are due after `step` updates; there are none at step 0."""
        if not (self.preview_every and step):
            return False
        return step == self.updates or step % self.preview_every == 0

    def pauses_at(self, step: int) -> bool:
        """Return whether the host needs the state of `step` before it sends the next call."""
        return self.saves_at(step) or self.evaluates_at(step) or self.previews_at(step)
