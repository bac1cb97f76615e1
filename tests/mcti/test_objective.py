"""The objective of all classes at once against one class, one sample at a time."""

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
    value, metrics, gradient = tiny.differentiate()
    (losses, parts), gradients = train_alone(tiny)

    np.testing.assert_allclose(value, losses.sum(), rtol=1e-6)
    for part, values in parts.items():
        np.testing.assert_allclose(metrics[f"mcti/{part}"], values.mean(), rtol=1e-5)
    assert np.abs(gradient[0] - gradients).max() < 1e-4 * np.abs(gradients).max()
