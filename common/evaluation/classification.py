"""How well predicted classes fit the true ones."""

import numpy as np
from jaxtyping import Float, Int

from common.data.selection import rows_by_class
from common.errors import UserError


def accuracy(predicted: Int[np.ndarray, "b"], labels: Int[np.ndarray, "b"]) -> float:
    """Return the share of examples whose class was found (top-1).

    Raises:
      UserError: There are no examples.
    """
    if not len(labels):
        raise UserError("there are no examples to test on: hold some out or add a test part.")
    return float(np.mean(predicted == labels))


def confusion(
    predicted: Int[np.ndarray, "b"], labels: Int[np.ndarray, "b"], classes: int
) -> Int[np.ndarray, "{classes} {classes}"]:
    """Return how many examples of the row's class were taken for the column's class."""
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (labels, predicted), 1)
    return counts


def accuracy_by_class(
    predicted: Int[np.ndarray, "b"], labels: Int[np.ndarray, "b"], classes: int
) -> Float[np.ndarray, "{classes}"]:
    """Return the accuracy within each class; NaN for a class without examples."""
    counts = confusion(predicted, labels, classes)
    totals = counts.sum(axis=1)
    return np.where(totals > 0, np.diag(counts) / np.maximum(totals, 1), np.nan)


def class_accuracy(
    predicted: Int[np.ndarray, "b"], labels: Int[np.ndarray, "b"], classes: int
) -> float:
    """Return the mean of the accuracies within each class: rare classes count fully."""
    return float(np.nanmean(accuracy_by_class(predicted, labels, classes)))


def normalise(features: Float[np.ndarray, "b d"]) -> Float[np.ndarray, "b d"]:
    """Divide each row by its L2 norm, in float32 at least. A row of zeros stays one."""
    # Unlike `common.clip.encode.unit`: on the host, for any caller's features, in their precision.
    features = features.astype(np.promote_types(features.dtype, np.float32))
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.where(norms > 0, norms, 1)


def class_means(
    features: Float[np.ndarray, "b d"], labels: Int[np.ndarray, "b"]
) -> Float[np.ndarray, "k d"]:
    """Return the unit-length mean of each class's unit features, for classes that have any."""
    groups = rows_by_class(labels, int(labels.max()) + 1)
    return normalise(np.stack([features[rows].mean(0) for rows in groups if len(rows)]))


def nearest_by_cosine(
    features: Float[np.ndarray, "b d"], classes: Float[np.ndarray, "k d"]
) -> Int[np.ndarray, "b"]:
    """Find for each row the class feature with the largest cosine: CLIP's zero-shot rule."""
    return np.argmax(normalise(features) @ normalise(classes).T, axis=1)
