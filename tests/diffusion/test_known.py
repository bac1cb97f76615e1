"""Published Stable Diffusions by their sizes, against their numbers of parameters."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import pytest

from common.diffusion.known import KNOWN, describe_stable_diffusion
from common.errors import UserError

XL, TURBO = "stabilityai/stable-diffusion-xl-base-1.0", "stabilityai/sdxl-turbo"
V1_4, V1_5, V2_BASE, V2_1 = (
    "CompVis/stable-diffusion-v1-4",
    "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "stabilityai/stable-diffusion-2-1-base",
    "stabilityai/stable-diffusion-2-1",
)
V1 = {"unet": 859_520_964, "vae": 83_653_863, "text": 123_060_480}
V2 = {"unet": 865_910_724, "vae": 83_653_863, "text": 340_387_840}
# Parameters, pixels along a side, what the network predicts.
PUBLISHED = {V1_5: (V1, 512, "epsilon"), V2_1: (V2, 768, "v_prediction")}


def test_models_of_one_architecture():
    """They differ in their weights, their pictures' size and what they predict, nothing else."""
    assert KNOWN.keys() == {V1_4, V1_5, V2_BASE, V2_1, XL, TURBO}
    assert KNOWN[V1_4] == KNOWN[V1_5]
    base, large = KNOWN[V2_BASE], KNOWN[V2_1]
    unet = dataclasses.replace(large.unet, sample_size=64)
    schedule = dataclasses.replace(large.schedule, prediction_type="epsilon")
    assert dataclasses.replace(large, unet=unet, schedule=schedule) == base


@pytest.mark.parametrize("source", [V1_5, V2_1])  # One of each architecture.
def test_published_sizes(source):
    sd = describe_stable_diffusion(source, jnp.bfloat16)
    sizes = {
        part: sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))
        for part, tree in sd.params.items()
    }
    assert (sizes, sd.image_size, sd.schedule.prediction_type) == PUBLISHED[source]
    assert {leaf.dtype for leaf in jax.tree.leaves(sd.params)} == {jnp.dtype(jnp.bfloat16)}
    assert sd.text_tower.config.width == sd.unet.config.cross_attention_dim


def test_an_unknown_model():
    with pytest.raises(UserError, match=r"'some/model' are not known .* stable-diffusion-v1-5"):
        describe_stable_diffusion("some/model")
