"""The runs that one program trains: one, or a grid of settings and seeds side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float, PyTree
from ml_collections import ConfigDict

from common.errors import UserError
from common.protocols.epochs import Sampler, cosine_by_epoch
from common.training.rates import PAPER, RateSchedule, array_module, check_rate
from common.trees import AnyArray
from protext_jax.packing import Packer

WARMUP_EPOCHS = 5
WARMUP_RATE = 1e-5


@dataclass(frozen=True)
class RunSetting:
    """One setting: what a grid may vary without changing a shape."""

    learning_rate: float
    epochs: int
    seed: int

    @property
    def name(self) -> str:
        """For tables."""
        return f"lr={self.learning_rate:g}, epochs={self.epochs}, seed={self.seed}"


def make_runs(config: ConfigDict) -> tuple[RunSetting, ...]:
    """Return the run of the config; with `sweep`, every combination of the grid's values."""
    rates, epochs, seeds = (config.learning_rate,), (config.epochs,), (config.seed,)
    if config.sweep:
        rates = config.grid.learning_rate or rates
        epochs = config.grid.epochs or epochs
        seeds = config.grid.seed or seeds
    return tuple(RunSetting(*values) for values in product(rates, epochs, seeds))


def rate(
    epoch: Float[AnyArray, " r"], epochs: Float[AnyArray, " r"], peak: Float[AnyArray, " r"]
) -> Float[AnyArray, " r"]:
    """Return the learning rate of an epoch, counted from 0; 0 from the end of the run on.

    The cosine's period is the number of all epochs, as in Dassl with `WARMUP_RECOUNT`, so the rate
    does not reach 0: it stops `WARMUP_EPOCHS` short.
    """
    warmup = WARMUP_EPOCHS, WARMUP_RATE
    cosine = cosine_by_epoch(epoch, epochs, peak, *warmup, recounted=True)
    return array_module(epoch).where(epoch < epochs, cosine, 0.0)


Rates = Callable[[Any], Float[AnyArray, " r"]]
"""From an update, counted from 0, to the learning rate of each run."""


def rates_by_epoch(runs: Sequence[RunSetting], per_epoch: int) -> Rates:
    """Return the reference's rates.

    A run that is shorter than others stands still after its last epoch: its rate is 0, and
    AdamW's decay is multiplied by it as well.
    """
    peaks = np.array([run.learning_rate for run in runs], np.float32)
    epochs = np.array([run.epochs for run in runs], np.float32)

    def rates(count: Any) -> Float[AnyArray, " r"]:
        xp = array_module(count)
        return rate(xp.full(len(runs), count // per_epoch, xp.float32), epochs, peaks)

    return rates


def rates_of(config: ConfigDict, runs: Sequence[RunSetting], per_epoch: int) -> Rates:
    """Return the rates that the config's group `rate` asks for, over the epochs of each run.

    Raises:
      UserError: The warm-up is longer than a run, or there are more updates than the epochs have.
    """
    longest = max(run.epochs for run in runs) * per_epoch
    if config.updates > longest:
        raise UserError(
            f"updates={config.updates} is more than the {longest} of {longest // per_epoch} "
            "epochs, after which the learning rate is 0: give more epochs, or updates=0 for all."
        )
    updates = [min(run.epochs * per_epoch, config.updates) for run in runs]
    check_rate(config, min(updates))
    if config.rate.schedule == PAPER:
        return rates_by_epoch(runs, per_epoch)
    schedule, lengths = RateSchedule.from_config(config), np.array(updates, np.int32)
    peaks = np.array([run.learning_rate for run in runs], np.float32)

    def rates(count: Any) -> Float[AnyArray, " r"]:
        share = schedule.share(count, lengths)
        return array_module(count).where(count < lengths, peaks * share, 0.0)

    return rates


@flax.struct.dataclass
class _UpdateCount:
    count: Any


def scale_by_rates(rates: Rates) -> optax.GradientTransformation:
    """Return a transformation that multiplies each run's updates by minus its learning rate.

    Leaves have the runs in front.
    """

    def init(params: PyTree) -> _UpdateCount:
        return _UpdateCount(jnp.zeros((), jnp.int32))

    def update(
        updates: PyTree, state: _UpdateCount, params: PyTree = None
    ) -> tuple[PyTree, _UpdateCount]:
        now = rates(state.count)

        def scaled(leaf: jax.Array) -> jax.Array:
            return -now.reshape(-1, *[1] * (leaf.ndim - 1)) * leaf

        return jax.tree.map(scaled, updates), _UpdateCount(state.count + 1)

    return optax.GradientTransformation(init, update)


@dataclass(frozen=True)
class Batches:
    """The loop's data source: which pairs each run sees in a step, and how they lie.

    Attributes:
      samplers: One per run.
      packer: Lays a batch out for the fast form; None for the plain one.
      fingerprint: Of the sentences and their classes.
    """

    samplers: tuple[Sampler, ...]
    packer: Packer | None
    fingerprint: str

    def batch(self, step: int) -> PyTree:
        """Return indices into the frozen tree, runs in front."""
        rows = [sampler.rows(step) for sampler in self.samplers]
        if self.packer is None:
            return {"rows": np.stack(rows).astype(np.int32)}
        layouts = [self.packer(pairs) for pairs in rows]
        return {"layout": jax.tree.map(lambda *leaves: np.stack(leaves), *layouts)}
