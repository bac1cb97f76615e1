import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.diffusion import UNet, prompt_states, sample, text_to_image
from common.diffusion.pipeline import latents_to_images

NOISE = jax.random.normal(jax.random.key(0), (2, 8, 8, 4))
FEW = {"sampler": "ddim", "steps": 3}

pytestmark = pytest.mark.usefixtures("quick_compiler")


class Stub(UNet):
    """A denoiser that compiles in no time; each row depends on its latents, time and text."""

    def __call__(self, latents, timesteps, text_states):
        mixed = jnp.tanh(text_states.sum(1) + timesteps[:, None] / 1000)[:, :4]
        return 0.5 * latents + mixed[:, None, None]


@pytest.fixture(scope="module")
def model(model):
    modules = dataclasses.replace(model.modules, unet=Stub(model.unet.config))
    return dataclasses.replace(model, modules=modules)


@pytest.fixture(scope="module")
def states(model):
    def of(*texts):
        ids = jnp.asarray(model.tokenizer(texts))
        return prompt_states(model.text_tower, model.params["text"], ids)

    return of


def draw(model, *inputs, **options):
    return np.asarray(text_to_image(model.modules, model.params, *inputs, **(FEW | options)))


def test_prompt_states_are_the_whole_last_layer(model, states):
    found = states("a dog", "a cat")
    assert found.shape == (2, model.text_tower.config.positions, 24)
    # Both start alike ("a ") and the tower is causal, so they part at the fourth position.
    np.testing.assert_allclose(found[0, :2], found[1, :2], atol=1e-6)
    assert np.abs(found[0, 2] - found[1, 2]).max() > 1e-3


def test_images(model, states):
    images = draw(model, states("a dog", "a cat"), states("", ""), NOISE)
    assert images.shape == (2, model.downsampling * 8, model.downsampling * 8, 3)
    assert images.min() >= 0
    assert images.max() <= 1
    assert images.std() > 0.05


def test_each_image_has_its_own_prompt(model, states):
    """One batch of two prompts is two batches of one."""
    together = draw(model, states("a dog", "a cat"), states("", ""), NOISE)
    for i, text in enumerate(["a dog", "a cat"]):
        alone = draw(model, states(text), states(""), NOISE[i : i + 1])
        np.testing.assert_allclose(together[i : i + 1], alone, atol=1e-4)


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_guidance_extrapolates_from_the_negative_prompt(guidance, model, states):
    prompts, negative = states("a dog", "a cat"), states("", "")

    def denoise(latents, timesteps):
        towards = model.unet.apply({}, latents, timesteps, prompts)
        away = model.unet.apply({}, latents, timesteps, negative)
        return away + guidance * (towards - away)

    latents = sample("ddim", model.schedule, denoise, NOISE, steps=3)
    desired = latents_to_images(model.modules, model.params, latents)
    actual = draw(model, prompts, negative, NOISE, guidance=guidance)
    np.testing.assert_allclose(actual, desired, atol=1e-4)


@pytest.mark.parametrize("guidance", [0.0, 0.5])
def test_weak_guidance_is_none(guidance, model, states):
    """XL turbo is asked for pictures of its prompt by guidance=0, as people know it."""
    inputs = states("a dog", "a cat"), states("", ""), NOISE
    none = draw(model, *inputs, guidance=1.0)
    np.testing.assert_array_equal(draw(model, *inputs, guidance=guidance), none)


def test_the_key_decides_the_noise_on_the_way(model, states):
    inputs = states("a dog", "a cat"), states("", ""), NOISE
    first, again, other = (
        draw(model, *inputs, jax.random.key(seed), sampler="ddpm") for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_weights_are_arguments(model, states):
    """Other weights make another image, without compiling anew."""
    inputs = states("a dog", "a cat"), states("", ""), NOISE
    first = draw(model, *inputs)
    compiled = text_to_image._cache_size()
    changed = jax.tree.map(lambda x: x * 0.9, model.params)
    second = text_to_image(model.modules, changed, *inputs, **FEW)
    assert np.abs(first - second).max() > 1e-3
    assert text_to_image._cache_size() == compiled
