"""Epochs of CoOp (arXiv 2109.01134) and of those who follow it: steps, order and learning rate."""

from functools import lru_cache

import numpy as np
from jaxtyping import Int

from common.training.rates import array_module
from common.trees import AnyArray


def steps_per_epoch(examples: int, batch: int) -> int:
    """Count whole batches only, but one short batch where there is no whole one."""
    return max(examples // batch, 1)


def cosine_by_epoch(
    epoch: AnyArray | np.generic,
    epochs: AnyArray | int,
    peak: AnyArray | float,
    warmup_epochs: int,
    warmup_rate: float,
    *,
    recounted: bool = False,
) -> AnyArray:
    """Return the learning rate of an epoch: a constant warm-up, then a cosine over `epochs`.

    Args:
      epoch: Counted from 0.
      epochs: The cosine's period.
      peak: From where the cosine falls.
      warmup_epochs: How many have the constant rate.
      warmup_rate: That rate.
      recounted: The cosine begins behind the warm-up, as with Dassl's `WARMUP_RECOUNT`, so that it
        does not reach 0 within `epochs`.
    """
    xp = array_module(epoch)
    passed = epoch - warmup_epochs if recounted else epoch
    cosine = 0.5 * peak * (1 + xp.cos(xp.pi * passed / epochs))
    return xp.where(epoch < warmup_epochs, warmup_rate, cosine)


class Sampler:
    """Rows without replacement within an epoch, in an order that depends on (seed, epoch)."""

    def __init__(self, examples: int, batch: int, seed: int):
        self._examples, self._seed = examples, seed
        self._size = min(batch, examples)
        self.per_epoch = steps_per_epoch(examples, batch)
        self._order = lru_cache(maxsize=2)(self._draw)

    def rows(self, step: int) -> Int[np.ndarray, "b"]:
        """Return the rows of a step."""
        epoch, place = divmod(step, self.per_epoch)
        return self._order(epoch)[place * self._size : (place + 1) * self._size]

    def epoch(self, epoch: int) -> Int[np.ndarray, "steps b"]:
        """Return the rows of all steps of an epoch."""
        order = self._order(epoch)[: self.per_epoch * self._size]
        return order.reshape(self.per_epoch, self._size)

    def steps(self, steps: int) -> Int[np.ndarray, "{steps} b"]:
        """Return the rows of the first steps."""
        epochs = [self.epoch(epoch) for epoch in range(-(-steps // self.per_epoch))]
        return np.concatenate(epochs)[:steps].astype(np.int32)

    def _draw(self, epoch: int) -> Int[np.ndarray, "b"]:
        return np.random.default_rng((self._seed, epoch)).permutation(self._examples)
