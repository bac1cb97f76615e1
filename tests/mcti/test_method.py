"""The method's own settings against the published recipe."""

import numpy as np
import pytest

from common.errors import UserError
from configs.mcti import paper
from mcti_jax.method import initial_vectors, learning_rate, make_networks
from tests.mcti.tiny import NumberTokenizer, models, settings

# What `train_arg_person.sh` of the reference sets or leaves at its default.
RECIPE = {
    "pool": "placeholder",
    "vectors": 1,
    "alpha": 1.0,
    "gamma": 1.0,
    "gamma_schedule": "constant",
    "logit_scale": 10.0,
    "prototypes": False,
    "feature_draws": 1,
    "samples": 4,
    "shots": 5,
    "learning_rate": 5e-4,
    "scale_lr": True,
    "weight_decay": 1e-2,
    "beta1": 0.9,
    "beta2": 0.999,
}


def test_defaults_are_the_recipe():
    config = settings()
    assert {name: config[name] for name in RECIPE} == RECIPE


def test_paper_runs_at_the_recipes_size():
    config = paper("flowers")
    assert (config.resolution, config.updates, config.init_word) == (512, 3100, "flower")


@pytest.mark.parametrize(
    ("changes", "rate"),
    [({}, 2e-3), ({"samples": 8}, 4e-3), ({"scale_lr": False}, 5e-4)],
)
def test_learning_rate_is_scaled_by_the_samples_of_an_update(changes, rate):
    assert learning_rate(settings(**changes)) == pytest.approx(rate)


def test_latents_are_scaled_as_stable_diffusion_scales_them():
    assert make_networks(settings(), *models()).latent_scale == 0.18215


def test_networks_are_those_that_the_objective_needs():
    networks = make_networks(settings(remat="block"), *models())
    assert (networks.unet.remat, networks.clip_text) == ("block", None)
    assert make_networks(settings(alpha=0.0), *models()).unet is None
    # Stable Diffusion 2 leaves out CLIP's last block, which the class feature needs.
    deeper = make_networks(settings(), *models(clip_layers=2))
    assert deeper.clip_text.config.layers == deeper.text.config.layers + 1


def test_every_vector_starts_as_the_noun():
    table = np.random.default_rng(0).standard_normal((1009, 32)).astype(np.float32)
    config = settings(init_word="7", vectors=3)
    start = initial_vectors(config, NumberTokenizer(), table)
    np.testing.assert_array_equal(start, table[[7, 7, 7]])


def test_noun_of_two_tokens():
    config = settings(init_word="7 8")
    with pytest.raises(UserError, match=r"'7 8' is 2 tokens \(7 8\): choose a noun"):
        initial_vectors(config, NumberTokenizer(), np.zeros((1009, 32), np.float32))
