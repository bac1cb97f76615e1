"""Learned classes beside classes that CLIP knows by name, in one classifier.

A token has no meaning but its class, a name has the one that CLIP has read; both are read in the
same templates and lie in the space of texts, so one softmax can hold them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from common.clip import CLIP
from common.data.clip_texts import text_features
from common.errors import UserError
from common.evaluation.classification import accuracy, normalise
from common.evaluation.summaries import harmonic_mean
from common.names import readable
from common.text import some


@dataclass(frozen=True)
class NamedClasses:
    """Classes that are not learned, and photos of them to be measured on.

    Attributes:
      names: F of them, as the data set spells them.
      features: Of the test photos, not normalised, `[b p]`.
      labels: Class of each test photo, from 0 to F - 1.
    """

    names: tuple[str, ...]
    features: Float[np.ndarray, "b p"]
    labels: Int[np.ndarray, "b"]


def require_others(learned: Iterable[str], names: Iterable[str], where: str) -> None:
    """Refuse names of classes that are learned as well: answers could not tell the two apart.

    Args:
      learned: The learned classes.
      names: Those beside them.
      where: What gave the names, for the sentence.

    Raises:
      UserError: It lists such names.
    """
    known = set(map(readable, learned))
    if both := [name for name in names if readable(name) in known]:
        raise UserError(
            f"{where} repeats what is learned already, {some(both)}: leave it out, or rename it."
        )


def named_texts(
    clip: CLIP, names: Sequence[str], templates: Sequence[str], cache: Path
) -> Float[np.ndarray, "f t p"]:
    """Return the unit-length text feature of each name in each template."""
    words = map(readable, names)
    texts = [template.replace("{}", word) for word in words for template in templates]
    features = text_features(clip, texts, cache)
    return normalise(features).reshape(len(names), len(templates), -1)


def named_features(
    clip: CLIP, names: Sequence[str], templates: Sequence[str], cache: Path
) -> Float[np.ndarray, "f p"]:
    """Return a text feature of unit length for each name, the mean over templates."""
    return mean_over_templates(named_texts(clip, names, templates, cache))


def mean_over_templates(texts: Float[np.ndarray, "f t p"]) -> Float[np.ndarray, "f p"]:
    """Return the feature of each name, of unit length, as a classifier has it."""
    return normalise(texts.mean(axis=1))


def mixed_scores(
    learned: Float[np.ndarray, "k p"],
    named: Float[np.ndarray, "f p"],
    photos: tuple[Float[np.ndarray, "b p"], Int[np.ndarray, "b"]],
    others: NamedClasses,
) -> Mapping[str, float]:
    """Measure one classifier of K learned and F named classes.

    Args:
      learned: Features of the learned classes, at unit length.
      named: Those of the names.
      photos: Features and labels of the learned classes' test photos.
      others: The named classes.

    Returns:
      Accuracy on the photos of either kind among all K + F classes, and the harmonic mean of both;
      none where photos of a kind are missing.
    """
    if not len(photos[1]) or not len(others.labels):
        return {}
    classes = np.concatenate([learned, named]).T
    parts = {
        "learned": accuracy((photos[0] @ classes).argmax(axis=1), photos[1]),
        "named": accuracy((others.features @ classes).argmax(axis=1), others.labels + len(learned)),
    }
    parts["harmonic"] = harmonic_mean(*parts.values())
    return {f"mixed/{name}": value for name, value in parts.items()}
