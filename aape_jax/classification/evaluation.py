"""What a classification run reports: the variants and what they have to beat."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Array, Int, PyTree
from ml_collections import ConfigDict

from aape_jax.classification.baselines.context import LEARNERS, train_context
from aape_jax.classification.baselines.few_shot import FEW_SHOT, Problem
from aape_jax.classification.material import Material
from aape_jax.classification.serving import predict
from aape_jax.classification.testsets import TestSet
from aape_jax.core.head import Head, parameter_count
from aape_jax.core.optimizer import rate_by_epoch
from common.checks import check_choices
from common.evaluation.baselines import BASELINES
from common.evaluation.classification import accuracy, nearest_by_cosine
from common.evaluation.predictions import PredictionsReport, predictions_report
from common.protocols.coop import RATE, coop_sgd
from common.protocols.epochs import Sampler
from common.spread import over_devices
from common.training import say

Row = dict[str, float]

Predicted = Mapping[str, Int[np.ndarray, "b"]]
"""The classes of each test set's photos, by its prefix."""

AT_ONCE = 2048
"""Photos of an evaluation, over all devices."""


def scores(tests: Mapping[str, TestSet], classify: Callable[[TestSet], np.ndarray]) -> Row:
    """Return the accuracy on each test set."""
    return {
        f"{prefix}accuracy": accuracy(np.asarray(classify(test)), test.labels)
        for prefix, test in tests.items()
    }


def predict_all(head: Head, params: PyTree, tests: Mapping[str, TestSet]) -> Predicted:
    """Classify all photos by a trained head, which sees only the classes' features."""

    def run(test: TestSet) -> Int[np.ndarray, "b"]:
        shared = params, test.features(head.classes)
        return over_devices(_predict, shared, test.x, head=head, at_once=AT_ONCE)

    return {prefix: run(test) for prefix, test in tests.items()}


def head_row(predicted: Predicted, params: PyTree, tests: Mapping[str, TestSet]) -> Row:
    """Return the accuracy and size of a trained head."""
    row = {
        f"{prefix}accuracy": accuracy(classes, tests[prefix].labels)
        for prefix, classes in predicted.items()
    }
    return row | {"parameters": float(parameter_count(params))}


def report(predicted: Predicted, tests: Mapping[str, TestSet]) -> PredictionsReport:
    """Return what a head did with the classes and photos of the first test set."""
    if not tests:
        return PredictionsReport()
    prefix, test = next(iter(tests.items()))
    return predictions_report(predicted[prefix], test.labels, test.classnames, test.names)


def _predict(shared: PyTree, x: Array, *, head: Head) -> Array:
    params, w = shared
    return predict(params, x, w, head)


def text_rows(tests: Mapping[str, TestSet]) -> dict[str, Row]:
    """Measure classifiers from text alone: CLIP's template, and the mean of CuPL's sentences."""
    with_sentences = {prefix: test for prefix, test in tests.items() if test.means is not None}
    rows = {
        "clip": scores(tests, lambda test: nearest_by_cosine(test.x, test.w)),
        "cupl": scores(with_sentences, lambda test: nearest_by_cosine(test.x, test.means)),
    }
    return {name: row for name, row in rows.items() if row}


def learned_rows(config: ConfigDict, material: Material) -> dict[str, Row]:
    """Train those baselines of `config.baselines` that can be measured, on the same features.

    Raises:
      UserError: A name is unknown.
    """
    check_baselines(config)
    idle = [name for name in config.baselines if not ROWS[name].tests(material)]
    if idle and material.tests:
        say(f"{', '.join(idle)}: left out, for no test set is of the learned classes.")
    names = [name for name in config.baselines if name not in idle]
    rows = {name: ROWS[name].measure(name, config, material) for name in names}
    return {name: row for name, row in rows.items() if row is not None}


def check_baselines(config: ConfigDict) -> None:
    """Refuse unknown names before time is spent."""
    check_choices(config, {"baselines": ROWS})


def learned_tests(material: Material) -> dict[str, TestSet]:
    """Return the tests among the classes that were learned."""
    learned = tuple(material.classnames[row] for row in material.learned)
    return {prefix: test for prefix, test in material.tests.items() if test.classnames == learned}


def _plain_row(name: str, config: ConfigDict, material: Material) -> Row:
    del config

    def classify(test: TestSet) -> Int[np.ndarray, "b"]:
        return BASELINES[name](material.x[0], material.labels, test.x)

    return scores(learned_tests(material), classify)


def _few_shot_row(name: str, config: ConfigDict, material: Material) -> Row:
    validation, kind = material.validation, config.classifier.classes
    baseline = FEW_SHOT[name]
    classify = baseline.learn(
        Problem(
            x=material.x[0],
            labels=material.labels,
            w=material.bank.take(material.learned).features(kind),
            validation=None if validation is None else (validation.x, validation.labels),
            batch=config.batch,
            seed=config.seed,
        )
    )
    tests = learned_tests(material)
    row = scores(tests, lambda test: classify(test.x, None).argmax(axis=1))
    if not baseline.other_classes:
        return row
    others = {prefix: test for prefix, test in material.tests.items() if prefix not in tests}
    return row | scores(others, lambda test: classify(test.x, test.features(kind)).argmax(axis=1))


def _context_row(name: str, config: ConfigDict, material: Material) -> Row | None:
    if material.clip is None:
        say(f"{name} is left out: it needs a text tower, and model='' names none.")
        return None
    learner = LEARNERS[name]
    examples = len(material.labels)
    sampler = Sampler(examples, learner.batch or config.batch, config.seed)
    steps = sampler.per_epoch * learner.epochs or config.updates
    warmup = config.warmup_epochs, config.warmup_rate
    rate = rate_by_epoch(RATE, steps, sampler.per_epoch, *warmup)
    classify = train_context(
        learner(material.clip.text_tower),
        material.clip,
        [material.classnames[i] for i in material.learned],
        material.x[0],
        material.labels,
        sampler.steps(steps),
        coop_sgd(rate, config.momentum, config.weight_decay),
        config.seed,
    )
    return scores(material.tests, lambda test: classify(test.x, test.classnames))


@dataclass(frozen=True)
class BaselineRow:
    """How baselines of a kind are measured.

    Attributes:
      measure: Trains and measures the baseline of a name; None where it is left out.
      other_classes: Whether it tells classes apart that it did not learn.
    """

    measure: Callable[[str, ConfigDict, Material], Row | None]
    other_classes: bool = False

    def tests(self, material: Material) -> Mapping[str, TestSet]:
        """Return the test sets whose classes it tells apart."""
        return material.tests if self.other_classes else learned_tests(material)


ROWS: Mapping[str, BaselineRow] = {
    **dict.fromkeys(BASELINES, BaselineRow(_plain_row)),
    **{name: BaselineRow(_few_shot_row, x.other_classes) for name, x in FEW_SHOT.items()},
    **dict.fromkeys(LEARNERS, BaselineRow(_context_row, other_classes=True)),
}
"""By name."""
