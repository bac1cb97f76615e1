import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.diffusion import UNet, UNetConfig
from common.diffusion.checkpoint import abstract_unet
from common.diffusion.resnet import Execution, group_norm
from common.diffusion.unet import sinusoids
from common.errors import UserError

pytestmark = pytest.mark.usefixtures("quick_compiler")


@functools.partial(jax.jit, static_argnums=0)
def predict(unet, params, *inputs):
    return unet.apply({"params": params}, *inputs)


def test_sinusoids_by_hand():
    actual = sinusoids(jnp.array([0.0, 2.0]), 4)
    desired = [[1, 1, 0, 0], [np.cos(2), np.cos(0.02), np.sin(2), np.sin(0.02)]]
    np.testing.assert_allclose(actual, desired, rtol=1e-5)


def test_group_norm_has_float32_statistics():
    """In bfloat16, the mean and the variance of numbers around 256 would be lost."""
    signs = np.tile([1.0, -1.0], 2048).reshape(1, 32, 64, 2)
    norm = group_norm(1, 1e-5, Execution(jnp.bfloat16), "norm")
    x = jnp.asarray(256 + 2 * signs, jnp.bfloat16)
    actual, _ = norm.init_with_output(jax.random.key(0), x)
    assert actual.dtype == jnp.bfloat16
    np.testing.assert_allclose(actual.astype(np.float32), signs, atol=0.01)


def test_rows_are_independent(pocket_unet, unet_inputs):
    """Each row has its own time and its own text."""
    latents, timesteps, text_states = unet_inputs
    both = predict(*pocket_unet, latents, timesteps, text_states)
    swapped = predict(*pocket_unet, latents[::-1], timesteps[::-1], text_states[::-1])
    np.testing.assert_allclose(both, swapped[::-1], rtol=1e-4, atol=1e-5)
    signs = jnp.array([1.0, -1.0])[:, None, None]
    for times, states in (
        (timesteps.at[1].add(90), text_states),
        (timesteps, signs * text_states),
    ):
        other = predict(*pocket_unet, latents, times, states)
        np.testing.assert_allclose(other[0], both[0], rtol=1e-4, atol=1e-5)
        assert np.abs(other[1] - both[1]).max() > 1e-3


def test_odd_sides_come_back_as_they_were(pocket_unet, unet_inputs):
    latents, timesteps, text_states = unet_inputs
    odd = predict(*pocket_unet, latents[:, 1:, :-1], timesteps, text_states)
    assert odd.shape == latents[:, 1:, :-1].shape and np.isfinite(odd).all()


@pytest.mark.parametrize("option", ["remat", "attention"])
def test_unknown_options_name_the_choices(option, pocket_unet, unet_inputs):
    unet, params = pocket_unet
    with pytest.raises(UserError, match=f"{option}='some' is unknown; choose one of"):
        unet.clone(**{option: "some"}).apply({"params": params}, *unet_inputs)


def test_bfloat16_is_close_and_returns_float32(pocket_unet, unet_inputs):
    unet, params = pocket_unet
    desired = predict(unet, params, *unet_inputs)
    halved = jax.tree.map(lambda x: jnp.asarray(x, jnp.bfloat16), params)
    actual = predict(unet.clone(dtype=jnp.bfloat16), halved, *unet_inputs)
    assert actual.dtype == jnp.float32
    error = np.abs(actual - desired).max() / np.abs(desired).max()
    assert 1e-5 < error < 0.05


@pytest.fixture(scope="module")
def remats(unet_inputs):
    """For each policy, one level of a UNet as a function of the text states."""
    config = UNetConfig(
        block_out_channels=(16,),
        down_block_types=("CrossAttnDownBlock2D",),
        up_block_types=("UpBlock2D",),
        layers_per_block=1,
        attention_head_dim=4,
        cross_attention_dim=24,
        norm_num_groups=8,
    )
    latents, timesteps, _ = unet_inputs
    unet = UNet(config)
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda x: 0.2 * rng.standard_normal(x.shape).astype(np.float32), abstract_unet(unet)
    )
    return {
        remat: functools.partial(
            unet.clone(remat=remat).apply, {"params": params}, latents, timesteps
        )
        for remat in ("none", "attention", "block")
    }


def test_remat_leaves_values_and_gradients(remats, unet_inputs):
    def gradient(apply):
        return jax.jit(jax.value_and_grad(lambda states: jnp.mean(apply(states) ** 2)))

    results = {remat: gradient(apply)(unet_inputs[2]) for remat, apply in remats.items()}
    assert np.abs(results["none"][1]).max() > 1e-6
    for remat in ("attention", "block"):
        for actual, desired in zip(results[remat], results["none"], strict=True):
            scale = np.abs(desired).max()
            np.testing.assert_allclose(actual, desired, rtol=1e-5, atol=1e-6 * scale)


def test_remat_keeps_what_it_says(remats, unet_inputs):
    def kept(apply):
        """Shapes of what the backward pass keeps."""
        backward = jax.eval_shape(lambda states: jax.vjp(apply, states)[1], unet_inputs[2])
        return [x.shape for x in jax.tree.leaves(backward)]

    shapes = {remat: kept(apply) for remat, apply in remats.items()}
    # Self-attention (96 pixels) and cross-attention (7 tokens) with 4 heads, and the gate of
    # the feed-forward layer: 4 x 16 channels at 96 pixels.
    probabilities = {(2, 4, 96, 96), (2, 4, 96, 7)}
    gate = (2, 96, 64)
    assert probabilities < set(shapes["none"])
    assert not probabilities & set(shapes["attention"])
    assert shapes["attention"].count(gate) == shapes["none"].count(gate) > 0
    assert not {*probabilities, gate} & set(shapes["block"])
