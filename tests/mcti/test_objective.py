"""The objective of all classes at once against one class, one sample at a time."""

import numpy as np
import pytest

from tests.mcti.plain import train_alone
from tests.mcti.problem import problem

pytestmark = pytest.mark.usefixtures("quick_compiler")
SETTINGS = {
    "reference": {},
    "every option": {
        "alpha": 0.0,
        "pool": "eos",
        "vectors": 3,
        "shared_features": False,
        "own_clip_text": True,
    },
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


@pytest.fixture(scope="module")
def compiled():
    return problem(
        alpha=0.0, gamma=0.9, gamma_schedule="exponential", gamma_end=0.1, gamma_horizon=10
    ).compiled()


def test_no_class_reads_another_classs_token(compiled):
    program, (trainable, *others) = compiled
    _, before = program(trainable, *others)
    moved = {"tokens": trainable["tokens"].at[2].add(1)}
    _, after = program(moved, *others)
    same = np.asarray(before["tokens"] == after["tokens"]).all(axis=(1, 2))
    assert same.tolist() == [True, True, False, True, True]


def test_gamma_follows_its_schedule(compiled):
    """Halfway through an exponential schedule, the geometric mean of its ends."""
    program, (trainable, frozen, batch, key) = compiled
    (first, _), _ = program(trainable, frozen, batch, key)
    (halfway, _), _ = program(trainable, frozen, {"step": batch["step"] + 5}, key)
    np.testing.assert_allclose(halfway / first, 0.3 / 0.9, rtol=1e-5)
