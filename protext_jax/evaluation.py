"""What a run reports: accuracy by protocol beside the baselines, and signals of text alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, PyTree

from common.data.coop_sets import MODEL
from common.data.names import readable
from common.evaluation.predictions import PredictionsReport, predictions_report
from common.training import Evaluation
from protext_jax.baselines import combined
from protext_jax.classifier import blended, class_features, plain_features
from protext_jax.coop import context_length
from protext_jax.files import LearnedPrompts, all_runs
from protext_jax.inputs import EvaluationInputs
from protext_jax.prompts import default_template
from protext_jax.published import published
from protext_jax.runs import RunSetting
from protext_jax.signals import rank, similarity_picture
from protext_jax.sweep import choose
from protext_jax.training_texts import BY_TEXT, training_name, training_template

BLENDS = tuple(tenth / 10 for tenth in range(11))
"""What held-out sentences choose from."""
AVERAGE = "average/"
"""Prefix of the mean over `targets`."""


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
    learned = [with_blend(measured, prompts) for prompts in learned]
    measurements = [measure(measured, prompts) for prompts in learned]
    chosen = choose(runs, [metrics for metrics, _ in measurements])
    metrics, classes = measurements[chosen]
    baselines = baseline_scores(measured, learned[chosen])
    names = [readable(name) for name in measured.texts.names]
    before, after = (x[: len(names)] for x in (measured.unprompted, classes))
    similarity = similarity_picture(measured.sentences, before, after, names)
    details: dict[str, Any] = {"cosine": _by_class(measured, classes)}
    report = PredictionsReport()
    if measured.sets:
        test = measured.sets[0]
        features = class_features(measured.clip, learned[chosen], test.template, test.classnames)
        predicted, split = measured.predicted(test, features), test.split
        report = predictions_report(predicted, split.labels, test.classnames, split.names)
    if measured.config.blend == BY_TEXT:
        details["blends"] = [prompts.blend for prompts in learned]
    if len(runs) > 1:
        details |= {"chosen": chosen, "sweep": [metrics for metrics, _ in measurements]}
    return Evaluation(
        metrics,
        baselines,
        {"similarity": similarity} | report.pictures,
        details | report.details,
        tables=report.tables,
    )


def with_blend(measured: EvaluationInputs, learned: LearnedPrompts) -> LearnedPrompts:
    """Return the prompts with the blend that held-out sentences prefer, where they are asked.

    A blend of 0 is among the choices, so that none is worse on these sentences than CLIP alone.
    """
    if measured.config.blend != BY_TEXT:
        return learned
    template, names = _as_learned(measured)
    prompted = class_features(measured.clip, learned.with_blend(1.0), template, names)
    plain = plain_features(measured.clip, template, [readable(name) for name in names])

    def score(blend: float) -> tuple[float, float]:
        return rank(measured.sentences.scores(blended(prompted, plain, blend)))

    return learned.with_blend(max(BLENDS, key=score))


def measure(
    measured: EvaluationInputs, learned: LearnedPrompts
) -> tuple[dict[str, float], Float[np.ndarray, "c p"]]:
    """Return one run's numbers and its features of the classes that it has sentences of."""
    metrics = accuracies(measured, learned)
    classes = class_features(measured.clip, learned, *_as_learned(measured))
    return metrics | measured.sentences.scores(classes), classes


def _as_learned(measured: EvaluationInputs) -> tuple[str, list[str]]:
    """Return the template of training and the names in it, those of held-out classes last."""
    texts, config = measured.texts, measured.config
    names = [training_name(config, name) for name in texts.classnames]
    return training_template(config), names


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
    if not config.recipe or config.model != MODEL:
        return {}
    rows = published(config.protocol, {test.prefix: test.paper_name for test in measured.sets})
    return {name: with_average(measured, row) for name, row in rows.items()}


def _by_class(measured: EvaluationInputs, classes: Float[np.ndarray, "c p"]) -> dict[str, dict]:
    """Return the cosine of each trained class with its sentences, before and after."""
    before, after = (measured.sentences.cosines(x) for x in (measured.unprompted, classes))
    return {
        name: {"clip": float(a), "protext": float(b)}
        for name, a, b in zip(measured.texts.names, before, after, strict=True)
    }
