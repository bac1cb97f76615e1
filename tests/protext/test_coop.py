"""CoOp, which stands beside ProText: its recipe, and that its programs hold no data."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.clip import load_clip
from common.data import FeatureDataset, FeatureSplit
from common.protocols.coop import epochs_by_shots
from protext_jax import coop
from protext_jax.classifier import class_features
from protext_jax.prompts import default_template

pytestmark = pytest.mark.usefixtures("quick_compiler")

NAMES = ["fish", "red star", "blue circle"]
DATA = 16  # numbers; of smaller constants jax 0.7 makes some for what the networks compute


@pytest.fixture(scope="module")
def clip():
    return load_clip("pocket")


@pytest.mark.parametrize(
    ("shots", "dataset", "epochs"),
    [
        *((1, "", 50), (2, "", 100), (3, "", 100), (4, "", 100), (8, "", 200), (16, "", 200)),
        *((0, "", 200), (1, "imagenet", 50), (16, "imagenet", 50), (16, "dtd", 200)),
    ],
)
def test_epochs(shots, dataset, epochs):
    assert epochs_by_shots(shots, dataset) == epochs


def test_classes_are_encoded_by_label_and_nothing_is_a_constant(clip):
    encode, frozen = coop.class_encoder(clip, NAMES)
    context = jax.random.normal(jax.random.key(0), (1, coop.context_length(clip), 128))
    learned = coop.as_learned(context)
    wanted = class_features(clip, learned, default_template(context.shape[1]), NAMES)
    np.testing.assert_allclose(jax.jit(encode)(frozen, context), wanted, atol=1e-5)
    constants = jax.make_jaxpr(encode)(frozen, context).consts
    assert all(np.size(x) < DATA for x in constants)


def test_the_recipe(clip, monkeypatch, tmp_path):
    """The first epoch has a small constant rate, and later ones a cosine's, 100 epochs long."""
    asked = {}

    def fit(loss, params, frozen, batches, optimizer, name):
        constants = jax.make_jaxpr(loss)(params, frozen, jnp.asarray(batches[0])).consts
        asked.update(batches=batches, optimizer=optimizer, constants=constants, params=params)
        return params

    monkeypatch.setattr(coop, "fit", fit)
    features = np.random.default_rng(0).standard_normal((60, 128)).astype(np.float32)
    train = FeatureSplit(np.repeat(np.arange(20), 3), features)
    names = tuple(f"class {number}" for number in range(20))
    coop.train_coop(clip, FeatureDataset("mine", names, train, train), 3, 0, tmp_path)
    assert asked["batches"].shape == (100, 32)  # one whole batch of 60 photos in an epoch
    assert all(np.size(x) < DATA for x in asked["constants"])
    optimizer, ones = asked["optimizer"], jnp.ones_like(asked["params"])
    state, velocity = optimizer.init(0 * ones), 0.0
    for epoch in range(4):
        change, state = optimizer.update(ones, state, 0 * ones)
        velocity = 0.9 * velocity + 1
        rate = 1e-3 * (1 + np.cos(np.pi * epoch / 100)) if epoch else 1e-5
        np.testing.assert_allclose(change, -rate * velocity * ones, rtol=1e-5)
