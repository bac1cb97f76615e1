"""Predictions of a classifier."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True, eq=False)
class Predictions:
    """The probability of each class for each photo.

    Attributes:
      classnames: The classes to choose from, k.
      probabilities: `[b k]`; each row sums to 1.
    """

    classnames: tuple[str, ...]
    probabilities: Float[np.ndarray, "b k"]

    @classmethod
    def from_logits(
        cls, logits: Float[np.ndarray, "b k"], classnames: Sequence[str]
    ) -> "Predictions":
        """Apply the softmax to each row."""
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        return cls(tuple(classnames), shifted / shifted.sum(axis=1, keepdims=True))

    @property
    def labels(self) -> Int[np.ndarray, "b"]:
        """The most probable class of each photo, an index into `classnames`."""
        return self.probabilities.argmax(axis=1)

    @property
    def names(self) -> list[str]:
        """The most probable class of each photo, by name."""
        return [self.classnames[label] for label in self.labels]

    def __len__(self) -> int:
        return len(self.probabilities)
