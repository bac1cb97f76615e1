"""How the learning rate goes from update to update."""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from common.checks import Unread, check_unread
from common.errors import UserError

PAPER = "paper"
"""The schedule of a method's paper, its warm-up included, where it is none of `DECAYS`."""

DECAYS: dict[str, Callable[[Any, ModuleType], Any]] = {
    "constant": lambda passed, xp: xp.ones_like(passed),
    "linear": lambda passed, xp: 1 - passed,
    "cosine": lambda passed, xp: 0.5 * (1 + xp.cos(xp.pi * passed)),
}
"""What is left of the rate when a share of the updates behind the warm-up has passed."""

_USUAL = ConfigDict({"rate": {"warmup": 0, "end": 0.0}})
_UNREAD = (
    Unread({"rate.schedule": (PAPER,)}, ("rate.warmup", "rate.end"), "rate.schedule=linear"),
    Unread({"rate.schedule": ("constant",)}, ("rate.end",), "rate.schedule=cosine or linear"),
)


def array_module(x: Any) -> ModuleType:
    """Return numpy for what the host holds, else jax.numpy."""
    if isinstance(x, int | float | np.ndarray | np.generic):
        return np
    import jax.numpy  # Not above, since the names of `DECAYS` are read before JAX is needed.

    return jax.numpy


@dataclass(frozen=True)
class RateSchedule:
    """The config's group `rate`.

    Attributes:
      schedule: One of `DECAYS`.
      warmup: Updates in which the rate rises linearly; the last of them has all of it.
      end: What is left at the end, as a share.
    """

    schedule: str
    warmup: int
    end: float

    @classmethod
    def from_config(cls, config: ConfigDict) -> "RateSchedule":
        """Read the group `rate` of a run's config."""
        return cls(config.rate.schedule, config.rate.warmup, config.rate.end)

    def share(self, step: Any, updates: Any) -> Any:
        """Return which share of the largest rate an update has.

        Args:
          step: Counted from 0; a number or an array, of the host or traced.
          updates: Of the run.
        """
        xp = array_module(step)
        rising = xp.minimum((step + 1) / max(self.warmup, 1), 1.0)
        passed = xp.clip((step - self.warmup) / xp.maximum(updates - self.warmup, 1), 0.0, 1.0)
        falling = self.end + (1 - self.end) * DECAYS[self.schedule](passed, xp)
        return xp.where(step < self.warmup, rising, falling)


Rate = float | Callable[[Any], Any]
"""What optax takes as learning rate: a number, or a schedule, from an update to a number."""


def make_rate(config: ConfigDict, peak: float, updates: int) -> Rate:
    """Return the learning rate as optax takes it, a number if it never changes.

    Args:
      config: The run's, whose `rate.schedule` is one of `DECAYS`.
      peak: The largest rate.
      updates: Of the run.
    """
    schedule = RateSchedule.from_config(config)
    if schedule.schedule == "constant" and not schedule.warmup:
        return peak
    return lambda step: peak * schedule.share(step, updates)


def rate_at(rate: Rate, step: int) -> float:
    """Return the rate of an update, counted from 0."""
    return float(rate(step) if callable(rate) else rate)


def check_rate(config: ConfigDict, updates: int) -> None:
    """Refuse a group `rate` that contradicts itself or the number of updates.

    Args:
      config: The run's, which may lack the group.
      updates: Of the run, or of the shortest part that has the whole schedule.

    Raises:
      UserError: The schedule does not read a field, or the updates all belong to the warm-up.
    """
    if "rate" not in config:
        return
    check_unread(config, _USUAL, _UNREAD)
    warmup = config.rate.warmup
    if warmup and warmup >= updates:
        raise UserError(
            f"rate.warmup={warmup} leaves nothing of the {updates} updates that follow the "
            "schedule: lower it."
        )
