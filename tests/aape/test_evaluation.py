"""Measuring: many photos need no more memory than some, and are compiled for once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aape_jax.classification import evaluation, testsets
from aape_jax.classification.bank import Bank
from aape_jax.core import diagnostics
from aape_jax.core.head import Head
from aape_jax.core.objective import Objective, watch
from tests.aape.problem import CLASSES, IMAGES, KEY, WIDTH, batch, disturbed, settings, vectors

pytestmark = pytest.mark.usefixtures("quick_compiler")
DEVICES = jax.device_count()


@pytest.fixture
def traced(monkeypatch):
    """How many rows each program that is compiled reads on a device."""

    def count(module, name, position):
        sizes, original = [], getattr(module, name)

        def counted(*arguments, **options):
            sizes.append(len(jax.tree.leaves(arguments[position])[0]))
            return original(*arguments, **options)

        monkeypatch.setattr(module, name, counted)
        monkeypatch.setattr(module, "AT_ONCE", DEVICES)
        return sizes

    return count


def test_a_large_test_set_is_classified_in_parts(traced):
    head = Head.from_config(settings())
    params = disturbed(head.init(KEY, WIDTH))
    w = vectors(CLASSES, WIDTH, seed=1)
    bank = Bank(w, w[:, None], np.ones((CLASSES, 1), bool))
    x = vectors(5 * DEVICES + 3, WIDTH, seed=2)
    test = testsets.TestSet(tuple("abcde"), bank, x, np.zeros(len(x), int))
    expected = np.asarray(head.logits(params, jnp.asarray(x), jnp.asarray(w))).argmax(axis=1)
    sizes = traced(evaluation, "predict", 1)
    found = evaluation.predict_all(head, params, {"": test})
    np.testing.assert_array_equal(found[""], expected)
    assert sizes == [1]


@pytest.mark.parametrize("changes", [{}, {"aggregator__num_outputs": 2}])
def test_many_photos_are_reported_on_in_parts(traced, changes):
    objective = Objective.from_config(settings(**changes))
    params = disturbed(objective.init(KEY, WIDTH, CLASSES, IMAGES))
    images = batch()
    rows = np.arange(4 * DEVICES + 1) % IMAGES
    many = images.replace(x=images.x[rows], labels=images.labels[rows], rows=images.rows[rows])
    inputs, teacher = objective.aggregate(params, many.prompted, KEY)
    sizes = traced(diagnostics, "watched", 1)
    for _ in range(2):
        metrics, attention = diagnostics.teacher_report(objective, params, many, KEY)
    assert sizes == [1], "a second report is compiled for anew"
    for name, value in watch(inputs, teacher).items():
        np.testing.assert_allclose(metrics[f"teacher/{name}"], value, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(attention, teacher.attention.mean(axis=1), rtol=1e-5, atol=1e-7)
