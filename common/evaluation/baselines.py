"""Classifiers that need no prompt: what a learned one has to beat on the same features."""

import warnings
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

from common.evaluation.classification import class_means, nearest_by_cosine, normalise
from common.progress import say
from common.text import counted

# CLIP's linear probe uses C = 0.316 on raw features, whose norm is about 10 (ViT-B/32). On
# features of norm 1 the same penalty is 0.316 * 10**2.
INVERSE_PENALTY = 31.6


def nearest_class_mean(
    features: Float[np.ndarray, "b d"],
    labels: Int[np.ndarray, "b"],
    queries: Float[np.ndarray, "q d"],
) -> Int[np.ndarray, "q"]:
    """Return the class whose mean of normalised features has the largest cosine."""
    means = class_means(normalise(features), labels)
    return np.unique(labels)[nearest_by_cosine(queries, means)]


def nearest_neighbour(
    features: Float[np.ndarray, "b d"],
    labels: Int[np.ndarray, "b"],
    queries: Float[np.ndarray, "q d"],
) -> Int[np.ndarray, "q"]:
    """Return the class of the one training example with the largest cosine."""
    return labels[nearest_by_cosine(queries, features)]


def linear_probe(
    features: Float[np.ndarray, "b d"],
    labels: Int[np.ndarray, "b"],
    queries: Float[np.ndarray, "q d"],
) -> Int[np.ndarray, "q"]:
    """Classify by logistic regression on normalised features (CLIP paper, section 3.2)."""
    # With SciPy's statistics behind it, this import takes longer than all others of a command.
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(labels)) == 1:
        return np.full(len(queries), labels[0])
    say(f"Fitting the linear probe to {counted(len(labels), 'example')}…")
    probe = LogisticRegression(C=INVERSE_PENALTY, max_iter=1000)
    with warnings.catch_warnings():
        # One example per class looks like a regression problem to the library.
        warnings.filterwarnings("ignore", "The number of unique classes is greater than 50%")
        probe.fit(normalise(features), labels)
    return probe.predict(normalise(queries))


Baseline = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]

BASELINES: dict[str, Baseline] = {
    "nearest_class_mean": nearest_class_mean,
    "nearest_neighbour": nearest_neighbour,
    "linear_probe": linear_probe,
}
