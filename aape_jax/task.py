"""What all tasks do alike."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from aape_jax.core.optimizer import steps_per_epoch


@dataclass(frozen=True)
class Epochs:
    """The loop's data source: each epoch is a new permutation of the training examples.

    Attributes:
      fingerprint: Of the photos.
      examples: How many there are.
      views: How many cached views each has.
      size: Of a batch.
      seed: Of the permutations.
    """

    fingerprint: str
    examples: int
    views: int
    size: int
    seed: int

    def batch(self, step: int) -> dict[str, Int[np.ndarray, "b"]]:
        """Return row numbers, and which view of each."""
        epoch, place = divmod(step, steps_per_epoch(self.size, self.examples))
        order = np.random.default_rng((self.seed, epoch)).permutation(self.examples)
        view = np.random.default_rng((self.seed, step, 1)).integers(self.views, size=self.size)
        rows = order[place * self.size : (place + 1) * self.size]
        return {"rows": rows.astype(np.int32), "views": view.astype(np.int32)}
