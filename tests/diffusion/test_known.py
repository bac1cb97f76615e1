"""Published Stable Diffusions by their sizes, against their numbers of parameters."""

import math

import jax
import jax.numpy as jnp
import pytest

from common.diffusion.known import KNOWN, describe_stable_diffusion
from common.errors import UserError

V1 = {"unet": 859_520_964, "vae": 83_653_863, "text": 123_060_480}
V2 = {"unet": 865_910_724, "vae": 83_653_863, "text": 340_387_840}
# Parameters, pixels along a side, what the network predicts.
PUBLISHED = {
    "stable-diffusion-v1-5/stable-diffusion-v1-5": (V1, 512, "epsilon"),
    "CompVis/stable-diffusion-v1-4": (V1, 512, "epsilon"),
    "stabilityai/stable-diffusion-2-1-base": (V2, 512, "epsilon"),
    "stabilityai/stable-diffusion-2-1": (V2, 768, "v_prediction"),
}


@pytest.mark.parametrize("source", KNOWN)
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
