"""What text alone tells of learned prompts: no picture is needed for any of it.

The signals choose among the runs of a sweep and tell when to stop.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from common.clip import CLIP
from common.data.clip_texts import text_features
from common.evaluation.classification import (
    accuracy,
    class_means,
    nearest_by_cosine,
    normalise,
)
from common.evaluation.similarity import similarity_matrices
from protext_jax.training_texts import TrainingTexts

TEXT, ALONE = "text/", "prompts_alone/"
"""Prefixes of the signals: of the class features that serve, and of the prompts without `blend`."""

RETRIEVAL, HELD_OUT_COSINE = f"{TEXT}retrieval_accuracy", f"{TEXT}held_out_cosine"


@dataclass(frozen=True)
class Sentences:
    """Unit features of the sentences that are learned from, and of those that are not.

    Attributes:
      targets, label: Of the former, `[b p]`, and their classes.
      held_out, held_label: Of the latter, `[h p]`.
    """

    targets: Float[np.ndarray, "b p"]
    label: Int[np.ndarray, "b"]
    held_out: Float[np.ndarray, "h p"]
    held_label: Int[np.ndarray, "h"]

    @property
    def means(self) -> Float[np.ndarray, "k p"]:
        """The classes' mean sentences, at unit length."""
        return class_means(self.targets, self.label)

    def cosines(self, classes: Float[np.ndarray, "c p"]) -> Float[np.ndarray, "k"]:
        """Return the mean cosine of each class with its own sentences."""
        cosine = (self.targets * classes[self.label]).sum(1)
        return np.array([cosine[self.label == k].mean() for k in np.unique(self.label)])

    def scores(self, classes: Float[np.ndarray, "c p"]) -> dict[str, float]:
        """Return mean and least of `cosines`, and `held_out_scores`.

        Args:
          classes: Features of the trained classes, then of those that are held out.
        """
        cosines = self.cosines(classes)
        metrics = {"text/cosine": float(cosines.mean()), "text/least_cosine": float(cosines.min())}
        return metrics | self.held_out_scores(classes)

    def held_out_scores(self, classes: Float[np.ndarray, "c p"]) -> dict[str, float]:
        """Return how many held-out sentences find their class, and how near to it they are."""
        if not len(self.held_out):
            return {}
        nearest = nearest_by_cosine(self.held_out, classes)
        cosine = (self.held_out * classes[self.held_label]).sum(1)
        return {
            RETRIEVAL: accuracy(nearest, self.held_label),
            HELD_OUT_COSINE: float(cosine.mean()),
        }


def encode_sentences(clip: CLIP, texts: TrainingTexts, cache: Path) -> Sentences:
    """Encode what a run learns from, in one pass and one file of the cache."""
    features = normalise(text_features(clip, (*texts.sentences, *texts.held_out), cache))
    targets, held_out = np.split(features, [texts.pairs])
    return Sentences(targets, texts.label, held_out, texts.held_label)


def rank(scores: Mapping[str, float]) -> tuple[float, float]:
    """Return the sort key of runs: retrieval of held-out sentences, then their cosine."""
    return scores.get(RETRIEVAL, 0.0), scores.get(HELD_OUT_COSINE, 0.0)


def alone(scores: Mapping[str, float]) -> dict[str, float]:
    """Return the signals of the prompts alone under the usual names."""
    own = {name: f"{ALONE}{name.removeprefix(TEXT)}" for name in (RETRIEVAL, HELD_OUT_COSINE)}
    return {**scores, **{name: scores[other] for name, other in own.items() if other in scores}}


def similarity_picture(
    sentences: Sentences,
    before: Float[np.ndarray, "k p"],
    after: Float[np.ndarray, "k p"],
    classnames: Sequence[str],
) -> np.ndarray:
    """Draw the cosines between classes: of CLIP, of the prompts, of mean sentences."""
    features = {"before": before, "after": after, "sentences": sentences.means}
    return similarity_matrices({name: x @ x.T for name, x in features.items()}, classnames)
