"""What a run reports: accuracy by protocol beside the baselines, and signals of text alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, PyTree
from ml_collections import ConfigDict

from common.clip import CLIP
from common.data import base_new
from common.data.clip_features import text_features
from common.data.names import readable
from common.evaluation import figures
from common.evaluation.classification import accuracy, nearest_by_cosine, normalise
from common.training import Evaluation
from protext_jax.baselines import combined, text_baselines
from protext_jax.coop import as_learned, context_length, train_coop
from protext_jax.files import LearnedPrompts, class_features
from protext_jax.pictures import encode_pictures
from protext_jax.prompts import default_template
from protext_jax.runs import Run
from protext_jax.templates import PLAIN
from protext_jax.testsets import TestSet
from protext_jax.texts import Texts, training_name, training_template

SIDE = 240  # pixels of a picture of similarities


@dataclass(frozen=True)
class Measured:
    """What does not change between evaluations of a run; computed when asked for.

    Attributes:
      config: the run's.
      clip: the model.
      texts: what is learned from.
      targets: unit features of the learned sentences, `[b p]`.
      held_out: of the others.
      sets: what accuracy is measured on.
    """

    config: ConfigDict
    clip: CLIP
    texts: Texts
    targets: Float[np.ndarray, "b p"]
    held_out: Float[np.ndarray, "h p"]
    sets: tuple[TestSet, ...]

    @property
    def cache(self) -> Path:
        """The folder of features."""
        return Path(self.config.cache).expanduser()

    @cached_property
    def pictures(self) -> dict[str, np.ndarray]:
        """Features of every set's test pictures, by prefix."""
        return {x.prefix: encode_pictures(self.clip, x.split, self.cache) for x in self.sets}

    @cached_property
    def baselines(self) -> dict[str, dict[str, np.ndarray]]:
        """Class features `[k p]` of each baseline, by set's prefix and baseline's name."""
        told = self.texts.matched.sentences
        return text_baselines(self.config, self.clip, self.sets, told)

    @cached_property
    def coop(self) -> LearnedPrompts:
        """CoOp's context, trained on photos of the trained classes."""
        config, dataset = self.config, self.texts.dataset
        if config.protocol == "base_to_novel":
            dataset, _ = base_new(dataset)
        context = train_coop(self.clip, dataset, config.coop_shots, config.seed, self.cache)
        return as_learned(context)

    def accuracy(self, test: TestSet, classes: Float[np.ndarray, "k p"]) -> float:
        """Share of the set's test pictures whose class is found."""
        found = nearest_by_cosine(self.pictures[test.prefix], classes)
        return accuracy(found, test.split.labels)


def evaluate(measured: Measured, runs: Sequence[Run], trainable: PyTree) -> Evaluation:
    """Measures every run; the first is the result, a sweep's others stand beside it.

    Args:
      measured: Models, texts and pictures.
      runs: R settings.
      trainable: Their trees, runs in front.
    """
    results: dict[str, dict[str, float]] = {}
    pictures: dict[str, np.ndarray] = {}
    for number, run in enumerate(runs):
        own = jax.tree.map(lambda x, i=number: np.asarray(x[i]), trainable)
        learned = LearnedPrompts.of(measured.config, measured.clip, own, run)
        results[run.name], trained = measure(measured, learned)
        if not number:
            pictures = similarity_picture(measured, trained)
            together = with_cupl(measured, learned)
    first, *others = results
    beside: dict[str, Any] = {name: results[name] for name in others} | baseline_scores(measured)
    if together:
        beside["protext_cupl"] = together
    return Evaluation(results[first], beside, pictures)


def measure(
    measured: Measured, learned: LearnedPrompts
) -> tuple[dict[str, float], Float[np.ndarray, "k p"]]:
    """One run's numbers, and its features of the trained classes."""
    clip, texts, config = measured.clip, measured.texts, measured.config
    metrics = accuracies(measured, learned)
    names = [training_name(config, name) for name in texts.names]
    trained = class_features(clip, learned, training_template(config), names)
    return metrics | text_scores(measured, trained), trained


def accuracies(measured: Measured, learned: LearnedPrompts, template: str = "") -> dict[str, float]:
    """The prompts' accuracy on every set, in the set's own template if none is given."""
    scores = {}
    for test in measured.sets:
        classes = class_features(measured.clip, learned, template or test.template, test.classnames)
        scores[f"{test.prefix}accuracy"] = measured.accuracy(test, classes)
    return scores


def with_cupl(measured: Measured, learned: LearnedPrompts) -> dict[str, float]:
    """Accuracy of the prompts' and CuPL's features together, where CuPL has sentences."""
    scores = {}
    for test in measured.sets:
        baselines = measured.baselines[test.prefix]
        if "cupl" in baselines and baselines["cupl"] is not baselines["clip"]:
            own = class_features(measured.clip, learned, test.template, test.classnames)
            both = combined([own, baselines["cupl"]])
            scores[f"{test.prefix}accuracy"] = measured.accuracy(test, both)
    return scores


def text_scores(measured: Measured, classes: Float[np.ndarray, "k p"]) -> dict[str, float]:
    """How near the classes are to their sentences, and whether unseen ones find their class.

    Both need no picture, so they can choose settings and tell when to stop.
    """
    texts = measured.texts
    cosine = (measured.targets * classes[texts.label]).sum(1)
    by_class = [cosine[texts.label == k].mean() for k in range(len(texts.names))]
    found = {"text/cosine": float(np.mean(by_class)), "text/least_cosine": float(min(by_class))}
    if len(measured.held_out):
        nearest = nearest_by_cosine(measured.held_out, classes)
        found["text/retrieval_accuracy"] = accuracy(nearest, texts.held_label)
    return found


def baseline_scores(measured: Measured) -> dict[str, dict[str, float]]:
    """The numbers of every baseline on every set, by baseline."""
    scores: dict[str, dict[str, float]] = {}
    for test in measured.sets:
        for name, classes in measured.baselines[test.prefix].items():
            own = scores.setdefault(name, {})
            own[f"{test.prefix}accuracy"] = measured.accuracy(test, classes)
    plain = [PLAIN.replace("{}", readable(name)) for name in measured.texts.names]
    unprompted = normalise(text_features(measured.clip, plain, measured.cache))
    scores["clip"] = scores.get("clip", {}) | text_scores(measured, unprompted)
    if measured.config.coop_shots and measured.sets:
        template = default_template(context_length(measured.clip))
        scores["coop"] = accuracies(measured, measured.coop, template)
    return scores


def similarity_picture(
    measured: Measured, after: Float[np.ndarray, "k p"]
) -> Mapping[str, np.ndarray]:
    """Cosines between the trained classes, of their mean sentences and of the prompts."""
    label = measured.texts.label
    wanted = normalise(np.stack([measured.targets[label == k].mean(0) for k in np.unique(label)]))
    panels = [_heat(x @ x.T) for x in (wanted, after)]
    grid = figures.image_grid([panels], ["similarity of classes"], ["sentences", "prompts"])
    return {"similarity": grid}


def _heat(cosines: Float[np.ndarray, "k k"]) -> np.ndarray:
    scaled = (cosines - cosines.min()) / max(np.ptp(cosines), 1e-6)
    grey = np.round(255 * (1 - scaled)).astype(np.uint8)
    each = -(-SIDE // len(grey))
    return np.repeat(np.kron(grey, np.ones((each, each), np.uint8))[..., None], 3, axis=-1)
