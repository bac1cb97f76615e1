"""Two stages in one run: first the visual map is trained, then what AAPE adds to it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import optax
from jaxtyping import Array, Float, PyTree
from ml_collections import ConfigDict

from aape_jax.core.epochs import Epochs
from common.checks import POSITIVE, Range, Unread, check_ranges
from common.errors import UserError
from common.training.rates import DECAYS, PAPER, RateSchedule, array_module, check_rate
from common.trees import AnyArray

BETAS = (0.9, 0.95)
"""LiMBeR's, of AdamW."""


@dataclass(frozen=True)
class StagedBatches:
    """Batches that say which stage they belong to.

    Attributes:
      epochs: Which examples.
      first: Steps of the first stage.
      grid: The cells of all images, where they are sent with each batch.
    """

    epochs: Epochs
    first: int
    grid: Float[np.ndarray, "b t c"] | None = None

    @property
    def fingerprint(self) -> str:
        """Of the examples."""
        return self.epochs.fingerprint

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """Return row numbers, whether the second stage has begun, and perhaps the images' cells."""
        rows = self.epochs.batch(step)["rows"]
        batch = {"rows": rows, "second": np.asarray(step >= self.first)}
        return batch if self.grid is None else batch | {"grid": self.grid[rows]}


RANGES = {
    "map_rate": Range(0, 1e6),
    "token_rate": Range(0, 1e6),
    "clip": POSITIVE,
}

UNREAD = (
    Unread({"rate.schedule": tuple(DECAYS)}, ("warmup",), "rate.schedule=paper or rate.warmup"),
    Unread({"map_updates": (0,)}, ("map_rate",), "map_updates above 0"),
    Unread(
        {"lm.aape_position": ("none",)},
        ("learning_rate", "token_rate"),
        "lm.aape_position=after_visual",
    ),
)
"""Fields that not every schedule or stage has."""

StageRate = Callable[[Array | int], AnyArray]
"""From a step to the learning rate."""


def rate_within(base: float, start: int, stop: int, warmup: int) -> StageRate:
    """Return linear warm-up and cosine to zero over a stage's steps; zero outside of it."""
    length = max(1, stop - start)

    def rate(step: Array | int) -> AnyArray:
        xp = array_module(step)
        elapsed = xp.asarray(step) - start
        rising = xp.minimum(1.0, (elapsed + 1) / max(1, warmup))
        falling = 0.5 * (1 + xp.cos(xp.pi * elapsed / length))
        return xp.where((elapsed >= 0) & (elapsed < stop - start), base * rising * falling, 0.0)

    return rate


def stage_rate(config: ConfigDict, base: float, start: int, stop: int) -> StageRate:
    """Return the rate that the group `rate` asks for within a stage; zero outside of it."""
    if config.rate.schedule == PAPER:
        return rate_within(base, start, stop, config.warmup)
    schedule = RateSchedule.from_config(config)

    def rate(step: Array | int) -> AnyArray:
        within = (step >= start) & (step < stop)
        share = schedule.share(step - start, stop - start)
        return array_module(step).where(within, base * share, 0.0)

    return rate


def stage_rates(config: ConfigDict) -> dict[str, StageRate]:
    """Return the rates of the parts of the trainable tree."""
    first = (0, config.map_updates)
    second = (config.map_updates, config.updates)
    return {
        "map": stage_rate(config, config.map_rate, *first),
        "head": stage_rate(config, config.learning_rate, *second),
        "token": stage_rate(config, config.token_rate, *second),
        "aggregator": stage_rate(
            config, config.learning_rate * config.aggregator.rate_factor, *second
        ),
    }


def staged_optimizer(config: ConfigDict) -> optax.GradientTransformation:
    """Return AdamW for a tree `{name: {"map" or "head" or "aggregator": ...}}`.

    In a head the map to tokens has a rate of its own. What is not in its stage has a rate of zero
    and stays bit for bit as it is.

    Raises:
      UserError: An option is out of range.
    """
    check_ranges(config, RANGES)
    groups = {
        name: optax.chain(
            clip_by_variant(config.clip),
            optax.adamw(rate, *BETAS, weight_decay=config.weight_decay),
        )
        for name, rate in stage_rates(config).items()
    }
    return optax.partition(groups, _group)


def clip_by_variant(norm: float) -> optax.GradientTransformation:
    """Return a clip of each top-level part's gradients by their own norm.

    What is trained beside a variant then does not change it.
    """
    clip = optax.clip_by_global_norm(norm)

    def update(
        updates: PyTree, state: optax.OptState, params: PyTree = None
    ) -> tuple[PyTree, optax.OptState]:
        del params
        return {name: clip.update(part, state)[0] for name, part in updates.items()}, state

    return optax.GradientTransformation(clip.init, update)


def check_stages(config: ConfigDict, has_aape: bool) -> None:
    """Refuse counts that leave a stage without steps.

    Raises:
      UserError: They do.
    """
    first, whole = config.map_updates, config.updates
    if not 0 <= first <= whole:
        raise UserError(f"map_updates={first} must lie between 0 and updates={whole}.")
    if not (first or config.lm.map):
        raise UserError(
            "map_updates=0 leaves the visual map untrained: name a trained one with "
            "lm.map=DIR/heads/visual.safetensors."
        )
    for updates in filter(None, (first, whole - first)):
        check_rate(config, updates)
    if has_aape != (first < whole):
        raise UserError(
            f"map_updates={first} of updates={whole} and lm.aape_position="
            f"{config.lm.aape_position!r} do not fit: the steps behind map_updates train AAPE."
        )


def _group(tree: PyTree) -> PyTree:
    def group(path: tuple[Any, ...], _: Array) -> str:
        part, *within = (key.key for key in path[1:])
        return "token" if part == "head" and within[:1] == ["token"] else part

    return jax.tree_util.tree_map_with_path(group, tree)
