"""What a run reports: accuracy by protocol beside the baselines, and signals of text alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, PyTree
from ml_collections import ConfigDict

from common.clip import CLIP
from common.data import few_shot
from common.data.clip_features import text_features
from common.data.coop_sets import MODEL
from common.data.names import readable
from common.evaluation.classification import accuracy, normalise
from common.evaluation.figures import predictions_picture
from common.photos.broken import named_together
from common.protocols.class_parts import learned_part
from common.training import Evaluation
from protext_jax.baselines import combined, text_baselines
from protext_jax.coop import as_learned, context_length, train_coop
from protext_jax.files import LearnedPrompts, all_runs, class_features
from protext_jax.pictures import encode_pictures
from protext_jax.prompts import default_template
from protext_jax.published import published
from protext_jax.runs import RunSetting
from protext_jax.signals import Sentences, similarity_picture
from protext_jax.sweep import choose
from protext_jax.templates import PLAIN
from protext_jax.testsets import TestSet
from protext_jax.training_texts import TrainingTexts, training_name, training_template
from protext_jax.types import AnyDataset

AVERAGE = "average/"
"""Prefix of the mean over `targets`."""


@dataclass(frozen=True)
class EvaluationInputs:
    """What does not change between evaluations of a run; computed when asked for.

    Attributes:
      config: the run's.
      clip: the model.
      texts: what is learned from.
      sentences: its features.
      sets: what accuracy is measured on.
    """

    config: ConfigDict
    clip: CLIP
    texts: TrainingTexts
    sentences: Sentences
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
        sentences = self.texts.matched.sentences
        return text_baselines(self.config, self.clip, self.sets, sentences)

    @cached_property
    def unprompted(self) -> Float[np.ndarray, "k p"]:
        """CLIP's own features of the trained classes."""
        plain = [PLAIN.replace("{}", readable(name)) for name in self.texts.names]
        return normalise(text_features(self.clip, plain, self.cache))

    def encode(self) -> None:
        """Read all pictures, so that a broken one is found before training and not after it."""
        with named_together(*(x.split for x in self.sets)):
            _ = self.pictures
            if self.config.coop_shots:
                train = few_shot(self.photos.train, self.config.coop_shots, self.config.seed)
                encode_pictures(self.clip, train, self.cache)

    @property
    def photos(self) -> AnyDataset:
        """The photos of the trained classes."""
        return learned_part(self.texts.dataset, self.config.protocol)

    @cached_property
    def coop(self) -> LearnedPrompts:
        """CoOp's context, trained on photos of the trained classes."""
        config = self.config
        context = train_coop(self.clip, self.photos, config.coop_shots, config.seed, self.cache)
        return as_learned(context)

    def predicted(self, test: TestSet, classes: Float[np.ndarray, "k p"]) -> Int[np.ndarray, "b"]:
        """Return the class of each of the set's test pictures."""
        # Not `nearest_by_cosine`: class features that are shorter than 1 are meant to be.
        return (normalise(self.pictures[test.prefix]) @ classes.T).argmax(1)

    def accuracy(self, test: TestSet, classes: Float[np.ndarray, "k p"]) -> float:
        """Return the share of the set's test pictures whose class is found."""
        return accuracy(self.predicted(test, classes), test.split.labels)


def evaluate(
    measured: EvaluationInputs, runs: Sequence[RunSetting], trainable: PyTree
) -> Evaluation:
    """Measure every run; of a sweep's runs the one that text alone prefers is the result.

    Args:
      measured: Models, texts and pictures.
      runs: R settings.
      trainable: Their trees, runs in front.
    """
    learned = all_runs(measured.config, measured.clip.fingerprint, trainable)
    measurements = [measure(measured, prompts) for prompts in learned]
    chosen = choose(runs, [metrics for metrics, _ in measurements])
    metrics, classes = measurements[chosen]
    baselines = baseline_scores(measured, learned[chosen])
    pictures = {"similarity": similarity_picture(measured.sentences, measured.unprompted, classes)}
    if measured.sets:
        test = measured.sets[0]
        features = class_features(measured.clip, learned[chosen], test.template, test.classnames)
        predicted = measured.predicted(test, features)
        pictures["confusion"] = predictions_picture(predicted, test.split.labels, test.classnames)
    details: dict[str, Any] = {"cosine": _by_class(measured, classes)}
    if len(runs) > 1:
        details |= {"chosen": chosen, "sweep": [metrics for metrics, _ in measurements]}
    return Evaluation(metrics, baselines, pictures, details)


def measure(
    measured: EvaluationInputs, learned: LearnedPrompts
) -> tuple[dict[str, float], Float[np.ndarray, "k p"]]:
    """Return one run's numbers and its features of the trained classes."""
    clip, texts, config = measured.clip, measured.texts, measured.config
    metrics = accuracies(measured, learned)
    names = [training_name(config, name) for name in texts.names]
    trained = class_features(clip, learned, training_template(config), names)
    return metrics | measured.sentences.scores(trained), trained


def accuracies(
    measured: EvaluationInputs, learned: LearnedPrompts, template: str = ""
) -> dict[str, float]:
    """Return the prompts' accuracy on every set, in the set's own template if none is given."""
    scores = {}
    for test in measured.sets:
        classes = class_features(measured.clip, learned, template or test.template, test.classnames)
        scores[f"{test.prefix}accuracy"] = measured.accuracy(test, classes)
    return with_average(measured, scores)


def with_average(measured: EvaluationInputs, scores: dict[str, float]) -> dict[str, float]:
    """Add the mean over the further data sets, where there are several and all are known."""
    halves = "base/", "new/", ""
    names = [f"{x.prefix}accuracy" for x in measured.sets if x.prefix not in halves]
    if len(names) < 2 or not all(name in scores for name in names):
        return scores
    return scores | {f"{AVERAGE}accuracy": float(np.mean([scores[name] for name in names]))}


def baseline_scores(
    measured: EvaluationInputs, learned: LearnedPrompts
) -> dict[str, dict[str, float]]:
    """Measure every baseline on every set, by baseline; the paper's own come last."""
    scores: dict[str, dict[str, float]] = {}
    for test in measured.sets:
        for name, classes in measured.baselines[test.prefix].items():
            row = scores.setdefault(name, {})
            row[f"{test.prefix}accuracy"] = measured.accuracy(test, classes)
    if together := _with_cupl(measured, learned):
        scores["protext_cupl"] = together
    scores = {name: with_average(measured, row) for name, row in scores.items()}
    of_text = measured.sentences.scores(measured.unprompted)
    scores["clip"] = scores.get("clip", {}) | of_text
    if measured.config.coop_shots and measured.sets:
        template = default_template(context_length(measured.clip))
        scores["coop"] = accuracies(measured, measured.coop, template)
    return scores | _papers(measured)


def _with_cupl(measured: EvaluationInputs, learned: LearnedPrompts) -> dict[str, float]:
    """Return the accuracy of the prompts' and CuPL's features together."""
    scores = {}
    for test in measured.sets:
        baselines = measured.baselines[test.prefix]
        if baselines.get("cupl", baselines["clip"]) is not baselines["clip"]:
            prompted = class_features(measured.clip, learned, test.template, test.classnames)
            both = combined([prompted, baselines["cupl"]])
            scores[f"{test.prefix}accuracy"] = measured.accuracy(test, both)
    return scores


def _papers(measured: EvaluationInputs) -> dict[str, dict[str, float]]:
    """Return the paper's figures, for a run of its settings on its model."""
    config = measured.config
    if not config.dataset or config.model != MODEL:
        return {}
    rows = published(config.protocol, {test.prefix: test.paper_name for test in measured.sets})
    return {name: with_average(measured, row) for name, row in rows.items()}


def _by_class(measured: EvaluationInputs, classes: Float[np.ndarray, "k p"]) -> dict[str, dict]:
    """Return the cosine of each trained class with its sentences, before and after."""
    before, after = (measured.sentences.cosines(x) for x in (measured.unprompted, classes))
    return {
        name: {"clip": float(a), "protext": float(b)}
        for name, a, b in zip(measured.texts.names, before, after, strict=True)
    }
