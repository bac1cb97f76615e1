"""What a classification run reports: the variants and what they have to beat."""

from collections.abc import Callable, Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree
from ml_collections import ConfigDict

from aape_jax.baselines.context import LEARNERS, train_context
from aape_jax.baselines.few_shot import FEW_SHOT, Problem
from aape_jax.baselines.fitting import epoch_batches
from aape_jax.head import Head, parameter_count
from aape_jax.material import Material, TestSet
from aape_jax.optimizer import OPTIMIZERS, rate_by_epoch, steps_per_epoch
from aape_jax.serving import predict
from common.errors import UserError
from common.evaluation.baselines import BASELINES
from common.evaluation.classification import accuracy

Row = dict[str, float]


def scores(tests: Mapping[str, TestSet], classify: Callable[[TestSet], np.ndarray]) -> Row:
    """Accuracy on each test set."""
    return {
        f"accuracy{suffix}": accuracy(np.asarray(classify(test)), test.labels)
        for suffix, test in tests.items()
    }


def head_row(head: Head, params: PyTree, material: Material) -> Row:
    """Accuracy and size of a trained head; the classes are all it is told about."""

    def classify(test: TestSet) -> np.ndarray:
        classes = jnp.asarray(material.bank.classes[test.classes])
        return np.asarray(predict(params, jnp.asarray(test.x), classes, head))

    return scores(material.tests, classify) | {"parameters": float(parameter_count(params))}


def text_rows(material: Material) -> dict[str, Row]:
    """Classifiers made of text alone: CLIP's template and CuPL's mean of sentences."""
    classifiers = {"clip": material.bank.classes, "cupl": material.bank.means}
    return {
        name: scores(material.tests, lambda test, w=w: (test.x @ w[test.classes].T).argmax(axis=1))
        for name, w in classifiers.items()
    }


def learned_rows(config: ConfigDict, material: Material) -> dict[str, Row]:
    """The baselines of `config.baselines`, trained on the same features.

    Raises:
      UserError: a name is unknown.
    """
    check_baselines(config)
    found = {}
    for name in config.baselines:
        if name in LEARNERS:
            if material.clip is not None:
                found[name] = _context_row(name, config, material)
        elif name in FEW_SHOT:
            found[name] = _few_shot_row(name, config, material)
        else:
            found[name] = scores(
                learned_tests(material),
                lambda test, name=name: BASELINES[name](material.x[0], material.labels, test.x),
            )
    return found


def check_baselines(config: ConfigDict) -> None:
    """Refuses unknown names before time is spent."""
    known = (*BASELINES, *FEW_SHOT, *LEARNERS)
    unknown = [name for name in config.baselines if name not in known]
    if unknown:
        raise UserError(f"baselines={unknown[0]!r} is unknown; choose from {', '.join(known)}.")


def learned_tests(material: Material) -> dict[str, TestSet]:
    """The tests among the very classes that were learned."""
    return {
        suffix: test
        for suffix, test in material.tests.items()
        if np.array_equal(test.classes, material.learned)
    }


def _few_shot_row(name: str, config: ConfigDict, material: Material) -> Row:
    validation = material.validation
    classify = FEW_SHOT[name](
        Problem(
            x=material.x[0],
            labels=material.labels,
            w=material.bank.classes[material.learned],
            validation=None if validation is None else (validation.x, validation.labels),
            batch=config.batch,
            seed=config.seed,
        )
    )
    own = learned_tests(material)
    row = scores(own, lambda test: classify(test.x, None).argmax(axis=1))
    if name.startswith("tip"):
        return row
    others = {suffix: test for suffix, test in material.tests.items() if suffix not in own}
    return row | scores(
        others, lambda test: classify(test.x, material.bank.classes[test.classes]).argmax(axis=1)
    )


def _context_row(name: str, config: ConfigDict, material: Material) -> Row:
    examples = len(material.labels)
    an_epoch = steps_per_epoch(config.batch, examples)
    rate = rate_by_epoch(
        config.learning_rate, config.updates, an_epoch, config.warmup_epochs, config.warmup_rate
    )
    classify = train_context(
        name,
        material.clip,
        [material.classnames[i] for i in material.learned],
        material.x[0],
        material.labels,
        epoch_batches(examples, config.batch, config.updates, config.seed),
        OPTIMIZERS[config.optimizer](rate, config),
        config.seed,
    )
    return scores(
        material.tests,
        lambda test: classify(test.x, [material.classnames[i] for i in test.classes]),
    )
