"""Which examples and views an update learns from."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int

from common.protocols.epochs import Sampler


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
        rows = self._sampler.rows(step)
        view = np.random.default_rng((self.seed, step, 1)).integers(self.views, size=self.size)
        return {"rows": rows.astype(np.int32), "views": view.astype(np.int32)}

    @cached_property
    def _sampler(self) -> Sampler:
        return Sampler(self.examples, self.size, self.seed)
