"""The method's own settings against the published recipe."""

from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest

from common.errors import UserError
from configs.mcti import get_config
from mcti_jax.method import MCTI, learning_rate
from mcti_jax.networks import make_networks
from mcti_jax.starts import noun_vectors
from tests.mcti.tiny import NumberTokenizer, models, settings

# What `train_arg_person.sh` of the reference sets or leaves at its default.
RECIPE = {
    "pool": "placeholder",
    "vectors": 1,
    "alpha": 1.0,
    "gamma": 1.0,
    "classification": "paper",
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
    "resolution": 512,
    "updates": 3100,
    "init_word": "flower",
}


def test_papers_configuration_is_the_recipe():
    config = get_config("recipe=oxford_flowers")
    assert {name: config[name] for name in RECIPE} == RECIPE


def test_defaults_have_the_recipes_objective_and_the_joint_term():
    config = MCTI(get_config()).complete(get_config())
    others = {"classification", "gamma", "learning_rate", "resolution", "updates", "init_word"}
    objective = RECIPE.keys() - others
    assert {name: config[name] for name in objective} == {name: RECIPE[name] for name in objective}


@pytest.mark.parametrize(
    ("changes", "term"),
    [("", "both"), ("alpha=0", "joint"), ("gamma=0", "paper"), ("recipe=photos", "both"),
     ("recipe=dtd", "paper"), ("alpha=0,classification=paper", "paper")],
)  # fmt: skip
def test_the_term_that_suits_the_rest(changes, term):
    assert MCTI(get_config(changes)).config.classification == term


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
    assert deeper.clip_text.config.layers == deeper.text[0].tower.config.layers + 1
    # The released code reads it from Stable Diffusion's own tower all the same.
    assert make_networks(settings(class_tower="sd"), *models(clip_layers=2)).clip_text is None


def test_a_text_encoder_of_other_weights_leaves_the_class_feature_to_clip():
    """Else tokens would be taught by one tower and classify by another."""
    table = np.random.default_rng(0).standard_normal((1009, 32)).astype(np.float32)
    sd, clip = models(text={"token_embedding": table})
    assert make_networks(settings(), sd, clip).clip_text is None
    rounded = {"text": {"token_embedding": table.astype(ml_dtypes.bfloat16)}}
    assert make_networks(settings(), replace(sd, params=rounded), clip).clip_text is None
    tuned = replace(sd, params={"text": {"token_embedding": 1.1 * table}})
    assert make_networks(settings(), tuned, clip).clip_text == clip.text_tower
    assert make_networks(settings(class_tower="sd"), tuned, clip).clip_text is None


def test_every_vector_starts_as_the_noun():
    table = np.random.default_rng(0).standard_normal((1009, 32)).astype(np.float32)
    config = settings(init_word="7", vectors=3)
    start = noun_vectors(config, NumberTokenizer(), table)
    np.testing.assert_array_equal(start, table[[7, 7, 7]])


def test_noun_of_two_tokens():
    config = settings(init_word="7 8")
    message = r"'7 8' is 2 tokens \(7 8\): choose a noun that is one token, or give vectors=2"
    with pytest.raises(UserError, match=message):
        noun_vectors(config, NumberTokenizer(), np.zeros((1009, 32), np.float32))
    with pytest.raises(UserError, match=r"'' is 0 tokens \(nothing\): choose a noun that is one "):
        noun_vectors(settings(init_word=""), NumberTokenizer(), np.zeros((1009, 32), np.float32))


@pytest.mark.parametrize(("vectors", "rows"), [(2, [7, 8]), (3, [7, 7, 8]), (5, [7, 7, 7, 8, 8])])
def test_pieces_of_a_noun_share_the_vectors(vectors, rows):
    table = np.random.default_rng(0).standard_normal((1009, 32)).astype(np.float32)
    start = noun_vectors(settings(init_word="7 8", vectors=vectors), NumberTokenizer(), table)
    np.testing.assert_array_equal(start, table[rows])
