"""How well generated pictures fit their class, their text and each other, by CLIP features.

Features are as CLIP projects them, normalised or not. What compares the pictures of a class is
averaged within each class first, so that every class counts alike.
"""

import numpy as np
from jaxtyping import Float, Int

from common.errors import UserError
from common.evaluation import classification
from common.evaluation.classification import nearest_by_cosine, normalise


def clip_i(
    features: Float[np.ndarray, "b d"],
    labels: Int[np.ndarray, "b"],
    real: Float[np.ndarray, "r d"],
    real_labels: Int[np.ndarray, "r"],
) -> float:
    """Return CLIP-I: the mean cosine over all pairs of a generated and a real picture of one class.

    Raises:
      UserError: No class has both.
    """
    generated, photos = normalise(features), normalise(real)
    return _mean_over_classes(
        [
            generated[labels == label] @ photos[real_labels == label].T
            for label in np.intersect1d(labels, real_labels)
        ],
        "generated and real pictures",
    )


def clip_t(features: Float[np.ndarray, "b d"], texts: Float[np.ndarray, "b d"]) -> float:
    """Return CLIP-T: the mean cosine of each generated picture with its text."""
    return float(np.mean(np.sum(normalise(features) * normalise(texts), axis=1)))


def diversity(features: Float[np.ndarray, "b d"], labels: Int[np.ndarray, "b"]) -> float:
    """Return 1 - the mean cosine over pairs of different generated pictures of one class.

    0 when the pictures of each class are all alike, as when a token has memorised one photo.

    Raises:
      UserError: No class has two pictures.
    """
    pairs = []
    for label in np.unique(labels):
        group = normalise(features[labels == label])
        pairs.append((group @ group.T)[np.triu_indices(len(group), k=1)])
    return 1 - _mean_over_classes(pairs, "two generated pictures")


def accuracy(
    features: Float[np.ndarray, "b d"],
    labels: Int[np.ndarray, "b"],
    classes: Float[np.ndarray, "k d"],
) -> float:
    """Return the share of generated pictures whose class a classifier finds."""
    return classification.accuracy(nearest_by_cosine(features, classes), labels)


def _mean_over_classes(cosines: list[np.ndarray], what: str) -> float:
    means = [values.mean() for values in cosines if values.size]
    if not means:
        raise UserError(f"no class has {what} to compare: generate more or add photos.")
    return float(np.mean(means))
