"""The objective of all classes at once against one class, one sample at a time."""

from dataclasses import replace

import numpy as np
import pytest

from tests.mcti.plain import train_alone
from tests.mcti.tiny import problem

SETTINGS = {
    "both terms": {},
    "eos": {"pool": "eos", "alpha": 0.0},
    "three vectors, own features": {"alpha": 0.0, "vectors": 3, "shared_features": False},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_all_classes_at_once_are_each_class_alone(name):
    tiny = problem(gamma=0.7, **SETTINGS[name])
    found = tiny.differentiate()
    (losses, parts), gradients = train_alone(tiny)

    np.testing.assert_allclose(found.value, losses.sum(), rtol=1e-6)
    for part, values in parts.items():
        np.testing.assert_allclose(found.metrics[f"mcti/{part}"], values.mean(), rtol=1e-5)
    assert np.abs(found.gradient[0] - gradients).max() < 1e-4 * np.abs(gradients).max()


def test_no_class_reads_another_classs_token():
    tiny = problem(alpha=0.0)
    moved = tiny.tokens.copy()
    moved[2] += 1
    before, after = tiny.differentiate(), replace(tiny, tokens=moved).differentiate()
    same = (before.gradient[0] == after.gradient[0]).all(axis=(1, 2))
    assert same.tolist() == [True, True, False, True, True]


def test_gamma_follows_its_schedule():
    """Halfway through an exponential schedule, the geometric mean of its ends."""
    tiny = problem(
        alpha=0.0, gamma=0.9, gamma_schedule="exponential", gamma_end=0.1, gamma_horizon=10
    )
    first, halfway = tiny.differentiate(), replace(tiny, step=5.0).differentiate()
    np.testing.assert_allclose(halfway.value / first.value, 0.3 / 0.9, rtol=1e-5)
    np.testing.assert_allclose(halfway.gradient, first.gradient / 3, rtol=1e-4, atol=1e-6)
