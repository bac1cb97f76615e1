"""What the names in a run's tables and pictures mean, for those who meet them for the first time.

A method says its own in `legend.py` of its package, as `TERMS`; what several share stands here.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass

from common.packages import METHODS, package_of


@dataclass(frozen=True)
class Terms:
    """Names with what they mean.

    Attributes:
      rows: Methods, their variants and baselines.
      metrics: By the whole name, or by what stands behind its last slash.
      pictures: By the name of the file.
    """

    rows: Mapping[str, str]
    metrics: Mapping[str, str]
    pictures: Mapping[str, str]

    def over(self, other: "Terms") -> "Terms":
        """Return these terms, then those of `other` that have other names."""
        return Terms(
            rows=_over(self.rows, other.rows),
            metrics=_over(self.metrics, other.metrics),
            pictures=_over(self.pictures, other.pictures),
        )


def _over(terms: Mapping[str, str], others: Mapping[str, str]) -> dict[str, str]:
    return {**terms, **{name: text for name, text in others.items() if name not in terms}}


COMMON = Terms(
    rows={
        "clip": "zero-shot CLIP with one template",
        "cupl": "CuPL: the mean feature of the sentences about each class",
        "coop": "CoOp: context vectors that are learned from photos",
        "linear_probe": "logistic regression on the features of the training photos",
        "nearest_class_mean": "the mean feature of each class's training photos",
        "nearest_neighbour": "the class of the nearest training photo",
    },
    metrics={
        "base/accuracy": "accuracy on the classes that were learned, among these alone",
        "new/accuracy": "accuracy on the classes that were not learned, among these alone",
        "accuracy": "share of the test photos, or questions, that get the right class or answer",
        "class_accuracy": "accuracy of each class, then the mean over classes",
        "loss": "what training minimises",
        "learning_rate": "what multiplies the step of the optimizer",
    },
    pictures={
        "confusion": "photos of each true class (rows) by the class they were taken for (columns)",
    },
)


def terms_of(method: str) -> Terms:
    """Return the terms of a method's runs, those that it says itself first.

    Args:
      method: "package:class", as a run's config has it. A package that is not ours is never
        imported; its runs get the terms of all of ours.
    """
    if package := package_of(method):
        return _terms_in(package).over(COMMON)
    terms = COMMON
    for name in METHODS:
        terms = terms.over(_terms_in(name))
    return terms


def _terms_in(package: str) -> Terms:
    return importlib.import_module(f"{package}.legend").TERMS
