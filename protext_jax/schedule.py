"""Epochs: how many steps they have, which pairs a step sees, and the learning rate."""

from functools import lru_cache

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

WARMUP_EPOCHS = 5
WARMUP_RATE = 1e-5


def steps_per_epoch(pairs: int, batch: int) -> int:
    """Count whole batches only, but one short batch where there is no whole one."""
    return max(pairs // batch, 1)


AnyArray = np.ndarray | Array


def rate(
    epoch: Float[AnyArray, " r"], epochs: Float[AnyArray, " r"], peak: Float[AnyArray, " r"]
) -> Float[Array, " r"]:
    """Return the learning rate of an epoch, counted from 0; 0 from the end of the run on.

    A constant warm-up, then a cosine. The cosine's period is the number of all epochs, as in
    Dassl with `WARMUP_RECOUNT`, so the rate does not reach 0: it stops `WARMUP_EPOCHS` short.
    """
    cosine = 0.5 * peak * (1 + jnp.cos(jnp.pi * (epoch - WARMUP_EPOCHS) / epochs))
    chosen = jnp.where(epoch < WARMUP_EPOCHS, WARMUP_RATE, cosine)
    return jnp.where(epoch < epochs, chosen, 0.0)


class Sampler:
    """Pairs without replacement within an epoch, in an order that depends on (seed, epoch)."""

    def __init__(self, pairs: int, batch: int, seed: int):
        self._pairs, self._seed = pairs, seed
        self._size = min(batch, pairs)
        self.per_epoch = steps_per_epoch(pairs, batch)
        self._order = lru_cache(maxsize=2)(self._draw)

    def rows(self, step: int) -> Int[np.ndarray, "b"]:
        """Return the pairs of a step."""
        epoch, place = divmod(step, self.per_epoch)
        return self._order(epoch)[place * self._size : (place + 1) * self._size]

    def epoch(self, epoch: int) -> Int[np.ndarray, "steps b"]:
        """Return the pairs of all steps of an epoch."""
        order = self._order(epoch)[: self.per_epoch * self._size]
        return order.reshape(self.per_epoch, self._size)

    def _draw(self, epoch: int) -> Int[np.ndarray, "b"]:
        return np.random.default_rng((self._seed, epoch)).permutation(self._pairs)
