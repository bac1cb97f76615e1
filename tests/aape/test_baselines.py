"""Few-shot baselines on features, against their formulas."""

import numpy as np
import pytest

from aape_jax.classification.baselines import few_shot
from aape_jax.classification.baselines.few_shot import (
    FEW_SHOT,
    TIP_ALPHA,
    TIP_BETA,
    Problem,
    tip_adapter,
)
from common.evaluation.classification import class_means, normalise
from tests.aape.problem import vectors

pytestmark = pytest.mark.usefixtures("quick_compiler")

CLASSES, SHOTS, WIDTH = 4, 6, 16


def problem(validation=False):
    centres = vectors(CLASSES, WIDTH, seed=1)
    labels = np.repeat(np.arange(CLASSES), SHOTS)

    def draw(seed):
        return normalise(centres[labels] + vectors(len(labels), WIDTH, seed=seed))

    w = normalise(centres + 3 * vectors(CLASSES, WIDTH, seed=3))
    held = (draw(4), labels) if validation else None
    return Problem(draw(2), labels, w, held, batch=8, seed=0), draw(5), labels


def test_tip_adapter_is_its_formula():
    own, x, _ = problem()
    affinity = np.exp(-TIP_BETA * (1 - x @ own.x.T))
    expected = 100 * x @ own.w.T + TIP_ALPHA * affinity @ np.eye(CLASSES)[own.labels]
    np.testing.assert_allclose(tip_adapter(own)(x, None), expected, rtol=1e-4)
    with pytest.raises(ValueError, match="no path"):
        tip_adapter(own)(x, own.w)


def test_tip_adapter_compares_some_photos_at_a_time(monkeypatch):
    own, x, _ = problem()
    whole, sizes, exp = tip_adapter(own)(x, None), [], np.exp
    monkeypatch.setattr(few_shot, "TIP_AT_ONCE", 5)
    monkeypatch.setattr(np, "exp", lambda values: [sizes.append(len(values)), exp(values)][1])
    np.testing.assert_allclose(tip_adapter(own)(x, None), whole, rtol=1e-5)
    assert sizes == [5, 5, 5, 5, 4]


@pytest.mark.parametrize("name", FEW_SHOT)
def test_each_learns_from_the_shots(name):
    own, x, labels = problem(validation=True)
    zero_shot = (x @ own.w.T).argmax(axis=1) == labels
    found = FEW_SHOT[name].learn(own)(x, None).argmax(axis=1) == labels
    assert found.mean() > zero_shot.mean()


def test_class_means_have_unit_length():
    own, _, _ = problem()
    means = class_means(own.x, own.labels)
    np.testing.assert_allclose(np.linalg.norm(means, axis=1), 1, rtol=1e-6)
    expected = own.x[:SHOTS].mean(axis=0)
    np.testing.assert_allclose(means[0], expected / np.linalg.norm(expected), rtol=1e-5)
