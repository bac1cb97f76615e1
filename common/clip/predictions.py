"""Predictions of a classifier."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


def _softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    # Of the negative amount alone, which does not overflow.
    small = np.exp(-np.abs(logits))
    return np.where(logits < 0, small, 1) / (1 + small)


SCORES: dict[str, Callable[[np.ndarray], np.ndarray]] = {"softmax": _softmax, "sigmoid": _sigmoid}
"""How logits become probabilities: those of the classes sum to 1, or each is for itself."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """The probability of each class for each photo.

    Attributes:
      classnames: The classes to choose from, k.
      probabilities: `[b k]`; each row sums to 1, but for those of a sigmoid.
    """

    classnames: tuple[str, ...]
    probabilities: Float[np.ndarray, "b k"]

    @classmethod
    def from_logits(
        cls,
        logits: Float[np.ndarray, "b k"],
        classnames: Sequence[str],
        scores: str = "softmax",
    ) -> "Predictions":
        """Apply the softmax to each row, or another of `SCORES`."""
        return cls(tuple(classnames), SCORES[scores](logits))

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
