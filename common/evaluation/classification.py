"""How well predicted classes fit the true ones."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from common.errors import UserError


@dataclass(frozen=True, eq=False)
class Classification:
    """Numbers of one classifier on one split.

    Attributes:
      confusion: How many examples of the row's class were called the column's class.
    """

    confusion: Int[np.ndarray, "k k"]

    @property
    def accuracy(self) -> float:
        """Share of examples whose class was found (top-1)."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    @property
    def by_class(self) -> Float[np.ndarray, "k"]:
        """Accuracy within each class; NaN for a class without examples."""
        counts = self.confusion.sum(axis=1)
        return np.where(counts > 0, np.diag(self.confusion) / np.maximum(counts, 1), np.nan)

    @property
    def mean_per_class(self) -> float:
        """Mean of `by_class` over the classes that have examples."""
        return float(np.nanmean(self.by_class))

    def metrics(self) -> dict[str, float]:
        """What tables show."""
        return {"accuracy": self.accuracy, "mean_per_class_accuracy": self.mean_per_class}


def classification(
    predicted: Int[np.ndarray, "b"], labels: Int[np.ndarray, "b"], classes: int
) -> Classification:
    """Compares predicted with true classes, both in 0..classes-1.

    Raises:
      UserError: There is nothing to compare.
    """
    if not len(labels):
        raise UserError("there are no examples to test on: hold some out or add a test part.")
    confusion = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    return Classification(confusion)


def normalise(features: Float[np.ndarray, "b d"]) -> Float[np.ndarray, "b d"]:
    """Divides each row by its L2 norm, in float32 at least. A row of zeros stays one."""
    features = features.astype(np.promote_types(features.dtype, np.float32))
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.where(norms > 0, norms, 1)


def nearest_by_cosine(
    features: Float[np.ndarray, "b d"], class_features: Float[np.ndarray, "k d"]
) -> Int[np.ndarray, "b"]:
    """For each row the class feature with the largest cosine: CLIP's zero-shot rule."""
    return np.argmax(normalise(features) @ normalise(class_features).T, axis=1)
