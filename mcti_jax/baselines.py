"""Accuracy on the test photos, and what tokens have to beat: classifiers of photos and of names."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from common.data.templates import TEMPLATES
from common.evaluation import classification
from common.evaluation.baselines import BASELINES
from mcti_jax.material import Material
from mcti_jax.mixed import mean_over_templates, mixed_scores, named_features


def beside_names(material: Material, classes: Float[np.ndarray, "k p"]) -> Mapping[str, float]:
    """Measure class features in one classifier with the classes that have names, if there are any.

    Args:
      material: The run's.
      classes: Of the learned classes, any length.
    """
    if material.others is None:
        return {}
    named = mean_over_templates(material.named_texts)
    photos = material.test_features, material.test.labels
    return mixed_scores(classification.normalise(classes), named, photos, material.others)


def scores(predicted: np.ndarray, material: Material, suffix: str = "") -> dict[str, float]:
    """Return micro and per-class accuracy on the test photos; empty for fewer than two classes."""
    if not can_measure(material):
        return {}
    labels, classes = material.test.labels, len(material.classnames)
    return {
        f"accuracy{suffix}": classification.accuracy(predicted, labels),
        f"class_accuracy{suffix}": classification.class_accuracy(predicted, labels, classes),
    }


def feature_baselines(material: Material) -> dict[str, dict[str, float]]:
    """Measure classifiers that use image features alone, on the same photos."""
    train, labels = material.train_features, material.train.labels
    found = {
        name: scores(classify(train, labels, material.test_features), material)
        for name, classify in BASELINES.items()
    }
    means = classification.class_means(classification.normalise(train), labels)
    found["nearest_class_mean"] |= beside_names(material, means)
    return found


def name_baseline(material: Material) -> dict[str, float]:
    """Measure CLIP's zero-shot classifier with the classes' own names, where it knows them."""
    photo = TEMPLATES["photo"]
    classes = named_features(material.clip, material.classnames, photo, material.cache)
    predicted = classification.nearest_by_cosine(material.test_features, classes)
    return scores(predicted, material) | beside_names(material, classes)


def baseline_scores(material: Material) -> dict[str, dict[str, float]]:
    """Measure what the photos and CLIP alone come to; nothing where there is nothing to measure."""
    if not can_measure(material):
        return {}
    learned = feature_baselines(material) if len(material.train) else {}
    return learned | {"names": name_baseline(material)}


def can_measure(material: Material) -> bool:
    """Return whether there are photos and classes to measure accuracy on."""
    return len(material.test) > 0 and len(material.classnames) > 1
