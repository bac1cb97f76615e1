"""The classification term on real CLIP features of Caltech-101, without any network.

The figures are the reference's cross-entropy on the same features, measured with one seed.
"""

import jax.numpy as jnp
import numpy as np
import pytest

from mcti_jax.classifier import predict
from mcti_jax.layout import class_bank
from tests.mcti.free_vectors import on_device, start_near_the_mean, train_jointly, train_vectors

CLASSES = 100
NEAREST_MEAN = {1: 0.7578, 4: 0.8819, 16: 0.9136}
FREE_VECTORS = {
    (1, 10.0): 0.7830,
    (1, 100.0): 0.7424,
    (4, 10.0): 0.8759,
    (4, 100.0): 0.8661,
    (16, 10.0): 0.9225,
    (16, 100.0): 0.8860,
}
JOINT = {1: 0.801, 4: 0.908, 16: 0.939}  # At a scale of 30, after 300 updates.


@pytest.fixture
def caltech(shared_data):
    with np.load(shared_data / "clip_image_features" / "caltech101.npz") as file:
        return dict(file)


def few_shots(caltech, shots):
    """Features twice, since the file has no mirrors, and labels."""
    features = caltech[f"shot{shots}_x"].astype(np.float32)
    return np.stack([features, features]), caltech[f"shot{shots}_y"].astype(int)


def accuracy(caltech, classes):
    found = predict(jnp.asarray(caltech["test_x"], jnp.float32), jnp.asarray(classes))
    return float((found == caltech["test_y"]).mean())


@pytest.mark.parametrize("shots", NEAREST_MEAN)
def test_prototypes_are_the_nearest_mean_classifier(caltech, shots):
    bank = class_bank(*few_shots(caltech, shots), CLASSES, prototypes=True)
    assert round(accuracy(caltech, bank.features[:, 0]), 4) == NEAREST_MEAN[shots]


def problem(caltech, shots):
    """The bank and a start, of one shape for all numbers of shots; what pads it would poison it."""
    features, labels = few_shots(caltech, shots)
    bank = class_bank(features, labels, CLASSES, prototypes=False)
    padding = ((0, 0), (0, 32 - bank.features.shape[1]), (0, 0))
    bank = on_device(bank.replace(features=np.pad(bank.features, padding, constant_values=np.nan)))
    return bank, start_near_the_mean(features[0], CLASSES)


@pytest.mark.parametrize(("shots", "scale"), FREE_VECTORS)
def test_free_vectors_reach_the_reference(caltech, shots, scale):
    bank, start = problem(caltech, shots)
    vectors, _ = train_vectors(bank, start, scale, updates=600)
    assert abs(accuracy(caltech, vectors) - FREE_VECTORS[shots, scale]) < 0.015


@pytest.mark.parametrize("shots", JOINT)
def test_the_joint_term_beats_class_means(caltech, shots):
    """By a point at least; with 4 photos the paper's term stays below them."""
    vectors, _ = train_jointly(*problem(caltech, shots), 30.0, updates=300)
    found = accuracy(caltech, vectors)
    assert abs(found - JOINT[shots]) < 0.01
    assert found > NEAREST_MEAN[shots] + 0.01
