"""What a run reports: accuracy by protocol beside the baselines, and signals of text alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, PyTree

from common.data.coop_sets import MODEL
from common.evaluation.predictions import PredictionsReport, predictions_report
from common.names import readable
from common.protocols.class_parts import BASE, NEW
from common.training import Evaluation
from protext_jax.baselines import combined
from protext_jax.classifier import blended, class_features, plain_features
from protext_jax.coop import context_length
from protext_jax.files import all_runs
from protext_jax.inputs import EvaluationInputs
from protext_jax.learned import LearnedPrompts
from protext_jax.options import BY_TEXT
from protext_jax.prompts import default_template, training_template
from protext_jax.published import published
from protext_jax.runs import RunSetting
from protext_jax.signals import ALONE, TEXT, rank, similarity_picture
from protext_jax.sweep import choose

BLENDS = tuple(tenth / 10 for tenth in range(11))
"""What held-out sentences choose from."""
AVERAGE = "average/"
"""Prefix of the mean over `targets`."""


@dataclass(frozen=True)
class Measurement:
    """What one run comes to.

    Attributes:
      metrics: Its numbers.
      classes: Its features of the classes that it has sentences of, those held out last.
      classifiers: Its class features of every test set, by prefix.
      blend: Its prompts' share in all of them.
    """

    metrics: dict[str, float]
    classes: Float[np.ndarray, "c p"]
    classifiers: Mapping[str, np.ndarray]
    blend: float


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
    measurements = [measure(measured, *with_blend(measured, prompts)) for prompts in learned]
    every = [found.metrics for found in measurements]
    chosen = choose(runs, every)
    found = measurements[chosen]
    baselines = baseline_scores(measured, found.classifiers)
    names = [readable(name) for name in measured.texts.names]
    before, after = (x[: len(names)] for x in (measured.unprompted, found.classes))
    similarity = similarity_picture(measured.sentences, before, after, names)
    details: dict[str, Any] = {"cosine": _by_class(measured, found.classes)}
    report = PredictionsReport()
    if measured.sets:
        test = measured.sets[0]
        predicted, split = measured.predicted(test, found.classifiers[test.prefix]), test.split
        report = predictions_report(predicted, split.labels, test.classnames, split.names)
    if measured.config.blend == BY_TEXT:
        details["blends"] = [each.blend for each in measurements]
    if len(runs) > 1:
        details |= {"chosen": chosen, "sweep": every}
    return Evaluation(
        found.metrics | _signals_to_stop_by(measured, learned[chosen], found),
        baselines,
        {"similarity": similarity} | report.pictures,
        details | report.details,
        tables=report.tables,
        seed=runs[chosen].seed,
    )


def _signals_to_stop_by(
    measured: EvaluationInputs, learned: LearnedPrompts, found: Measurement
) -> dict[str, float]:
    """Return the prompts' own signals, where a run may stop by them and others are shown."""
    if not measured.config.early_stop or found.blend == 1:
        return {}
    template, names = training_template(measured.config), measured.texts.classnames
    classes = class_features(measured.clip, learned.with_blend(1.0), template, names)
    scores = measured.sentences.held_out_scores(classes)
    return {f"{ALONE}{name.removeprefix(TEXT)}": value for name, value in scores.items()}


def with_blend(
    measured: EvaluationInputs, learned: LearnedPrompts
) -> tuple[LearnedPrompts, Float[np.ndarray, "c p"] | None]:
    """Return the prompts with the blend that held-out sentences prefer, where they are asked.

    A blend of 0 is among the choices, so that none is worse on these sentences than CLIP alone.

    Returns:
      The prompts, and their features of the classes that have sentences, where they were needed.
    """
    if measured.config.blend != BY_TEXT:
        return learned, None
    template, names = training_template(measured.config), measured.texts.classnames
    prompted = class_features(measured.clip, learned.with_blend(1.0), template, names)
    plain = plain_features(measured.clip, template, [readable(name) for name in names])

    def score(blend: float) -> tuple[float, float]:
        return rank(measured.sentences.held_out_scores(blended(prompted, plain, blend)))

    blend = max(BLENDS, key=score)
    classes = prompted if blend == 1 else blended(prompted, plain, blend)
    return learned.with_blend(blend), classes


def measure(
    measured: EvaluationInputs,
    learned: LearnedPrompts,
    classes: Float[np.ndarray, "c p"] | None = None,
) -> Measurement:
    """Measure one run.

    Args:
      measured: Models, texts and pictures.
      learned: What the run learned.
      classes: Its features of the classes that it has sentences of, where they are known.
    """
    if classes is None:
        classes = class_features(
            measured.clip,
            learned,
            training_template(measured.config),
            measured.texts.classnames,
        )
    own = classifiers(measured, learned)
    metrics = accuracies(measured, own) | measured.sentences.scores(classes)
    return Measurement(metrics, classes, own, learned.blend)


def classifiers(
    measured: EvaluationInputs, learned: LearnedPrompts, template: str = ""
) -> dict[str, np.ndarray]:
    """Return the prompts' class features of every set, by prefix.

    Args:
      measured: Models, texts and pictures.
      learned: What the run learned.
      template: What the prompts stand in front of; "" for each set's own template.
    """
    return {
        x.prefix: class_features(measured.clip, learned, template or x.template, x.classnames)
        for x in measured.sets
    }


def accuracies(measured: EvaluationInputs, by_set: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return the accuracy of class features on those sets that have some, by prefix."""
    scores = {
        f"{test.prefix}accuracy": measured.accuracy(test, by_set[test.prefix])
        for test in measured.sets
        if test.prefix in by_set
    }
    return with_average(measured, scores)


def with_average(measured: EvaluationInputs, scores: dict[str, float]) -> dict[str, float]:
    """Add the mean over the further data sets, where there are several and all are known."""
    halves = BASE, NEW, ""
    names = [f"{x.prefix}accuracy" for x in measured.sets if x.prefix not in halves]
    if len(names) < 2 or not all(name in scores for name in names):
        return scores
    return scores | {f"{AVERAGE}accuracy": float(np.mean([scores[name] for name in names]))}


def baseline_scores(
    measured: EvaluationInputs, prompted: Mapping[str, np.ndarray]
) -> dict[str, dict[str, float]]:
    """Measure every baseline on every set, by baseline; the paper's own come last.

    CuPL has CLIP's score on a set some class of which has no sentence.

    Args:
      measured: Models, texts and pictures.
      prompted: The prompts' class features of every set, by prefix.
    """
    scores: dict[str, dict[str, float]] = {}
    for test in measured.sets:
        metric = f"{test.prefix}accuracy"
        for name, classes in measured.baselines[test.prefix].items():
            scores.setdefault(name, {})[metric] = measured.accuracy(test, classes)
        if "cupl" in measured.config.baselines:
            scores.setdefault("cupl", {}).setdefault(metric, scores["clip"][metric])
    scores = {name: with_average(measured, row) for name, row in scores.items()}
    if together := _with_cupl(measured, prompted):
        scores["protext_cupl"] = accuracies(measured, together)
    of_text = measured.sentences.scores(measured.unprompted)
    scores["clip"] = scores.get("clip", {}) | of_text
    if measured.config.coop_shots and measured.sets:
        template = default_template(context_length(measured.clip))
        scores["coop"] = accuracies(measured, classifiers(measured, measured.coop, template))
    return scores | _papers(measured)


def _with_cupl(
    measured: EvaluationInputs, prompted: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the prompts' and CuPL's features together, of the sets for which CuPL has some."""
    return {
        test.prefix: combined([prompted[test.prefix], measured.baselines[test.prefix]["cupl"]])
        for test in measured.sets
        if "cupl" in measured.baselines[test.prefix]
    }


def _papers(measured: EvaluationInputs) -> dict[str, dict[str, float]]:
    """Return the paper's figures, for a run of its settings on its model."""
    config = measured.config
    if not config.recipe or config.model != MODEL:
        return {}
    names = {test.prefix: test.paper_name for test in measured.sets}
    rows = published(config.protocol, config.recipe, names)
    return {name: with_average(measured, row) for name, row in rows.items()}


def _by_class(measured: EvaluationInputs, classes: Float[np.ndarray, "c p"]) -> dict[str, dict]:
    """Return the cosine of each trained class with its sentences, before and after."""
    before, after = (measured.sentences.cosines(x) for x in (measured.unprompted, classes))
    return {
        name: {"clip": float(a), "protext": float(b)}
        for name, a, b in zip(measured.texts.names, before, after, strict=True)
    }
