"""Stable Diffusion XL against diffusers and transformers: parts, gradients, whole pictures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.diffusion import load_stable_diffusion, save_stable_diffusion, text_to_image
from common.diffusion.added import AddedConditions
from common.diffusion.states import prompt_groups
from common.diffusion.text_encoder import encode_texts
from common.diffusion.text_encoding import encode_prompts
from common.weights.diffusion import unet_table
from common.weights.files import read_tensors
from common.weights.table import to_source
from tests.compare import relative_error
from tests.diffusion.channels import to_numpy, to_torch
from tests.diffusion.xl import xl_model

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
pytestmark = [
    pytest.mark.reference,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

PROMPTS, STEPS = ["a dog", "two cats"], 6
SIZES = np.array([[48, 32, 0, 0, 48, 32], [16, 16, 2, 4, 16, 16]], np.float32)


@pytest.fixture(scope="module")
def model(tokenizer):
    return xl_model(tokenizer)


@pytest.fixture(scope="module")
def directory(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("xl")
    save_stable_diffusion(model, folder)
    return folder


@pytest.fixture(scope="module")
def pipeline(directory):
    """diffusers' pipeline on the files that we wrote."""
    loaded = diffusers.StableDiffusionXLPipeline.from_pretrained(directory, add_watermarker=False)
    loaded.set_progress_bar_config(disable=True)
    assert loaded.config.force_zeros_for_empty_prompt
    return loaded


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(1)
    latents = rng.standard_normal((2, 9, 12, 4)).astype(np.float32)
    states = rng.standard_normal((2, 7, 56)).astype(np.float32)
    return latents, np.array([3, 801]), states, rng.standard_normal((2, 16)).astype(np.float32)


def test_prediction_and_gradients(model, pipeline, inputs):
    """With regard to the text states and the pooled text."""
    latents, times, states, pooled = inputs
    inside = jnp.asarray(latents), jnp.asarray(times)
    direction = np.random.default_rng(2).standard_normal(latents.shape).astype(np.float32)
    theirs = [torch.from_numpy(x).requires_grad_() for x in (states, pooled)]
    added = {"text_embeds": theirs[1], "time_ids": torch.from_numpy(SIZES)}
    output = pipeline.unet(
        to_torch(latents), torch.from_numpy(times), theirs[0], added_cond_kwargs=added
    ).sample
    (output * to_torch(direction)).sum().backward()

    def total(states, pooled):
        added = AddedConditions(pooled, jnp.asarray(SIZES))
        output = model.unet.apply({"params": model.params["unet"]}, *inside, states, added)
        return (output * direction).sum(), output

    run = jax.jit(jax.grad(total, argnums=(0, 1), has_aux=True))
    gradients, actual = run(jnp.asarray(states), jnp.asarray(pooled))
    assert relative_error(actual, to_numpy(output)) < 1e-5
    for ours, their in zip(gradients, theirs, strict=True):
        assert relative_error(ours, their.grad.numpy()) < 1e-5


@pytest.mark.parametrize("remat", ["attention", "block"])
def test_recomputing_changes_no_gradient(model, inputs, remat):
    latents, times, states, pooled = map(jnp.asarray, inputs)
    added = AddedConditions(pooled, jnp.asarray(SIZES))

    def slope(unet):
        def total(states):
            return unet.apply({"params": model.params["unet"]}, latents, times, states, added).sum()

        return jax.jit(jax.grad(total))(states)

    assert relative_error(slope(model.unet.clone(remat=remat)), slope(model.unet)) < 1e-5


def test_text_encoders(model, pipeline):
    texts = [*PROMPTS, "", "a " + "dog " * 20]
    desired, _, pooled, _ = pipeline.encode_prompt(texts, do_classifier_free_guidance=False)
    actual = encode_prompts(model, texts, {})
    assert relative_error(actual.states, desired.detach().numpy()) < 1e-5
    assert relative_error(actual.pooled, pooled.detach().numpy()) < 1e-5


def test_encoding_on_devices_is_that_on_the_host(model):
    """What is differentiated is what pictures are drawn with."""
    encoders, texts = model.modules.text_encoders, PROMPTS
    embedded, ends = {}, {}
    for encoder, tokenizer in zip(encoders, model.tokenizers, strict=True):
        name, ids = encoder.part.params, tokenizer(texts)
        embedded[name] = jnp.asarray(model.params[name]["token_embedding"])[ids]
        ends[name] = jnp.argmax(jnp.asarray(ids == tokenizer.eos), axis=1)
    actual = encode_texts(encoders, model.params, embedded, ends)
    desired = encode_prompts(model, texts, {})
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-5), actual, desired)


def test_autoencoder(model, pipeline, inputs):
    pixels = np.tanh(np.random.default_rng(3).standard_normal((1, 16, 24, 3))).astype(np.float32)
    variables = {"params": model.params["vae"]}
    encoded = model.vae.apply(variables, jnp.asarray(pixels), method="encode").mean
    decoded = model.vae.apply(variables, jnp.asarray(inputs[0]), method="decode")
    theirs = pipeline.vae.encode(to_torch(pixels)).latent_dist.mean
    assert relative_error(encoded, to_numpy(theirs)) < 1e-5
    assert relative_error(decoded, to_numpy(pipeline.vae.decode(to_torch(inputs[0])).sample)) < 1e-5


@pytest.mark.parametrize("guidance", [0.0, 0.5, 1.0, 5.0])
@pytest.mark.parametrize("negative", ["", "a tree"])
def test_same_pictures(model, pipeline, guidance, negative):
    """By the file's own Euler; an empty negative prompt is none, and none is zeros."""
    noise = np.random.default_rng(0).standard_normal((2, 12, 8, 4)).astype(np.float32)
    desired = pipeline(
        PROMPTS,
        negative_prompt=[negative] * 2 if negative else None,
        height=24,
        width=16,
        latents=to_torch(noise),
        num_inference_steps=STEPS,
        guidance_scale=guidance,
        output_type="np",
    ).images
    (group,) = prompt_groups(model, PROMPTS, negative, {}, weighted=False)
    assert bool(np.any(group.opposite.states)) == bool(negative)
    sizes = jnp.tile(jnp.array([24.0, 16, 0, 0, 24, 16]), (2, 1))
    opposite = jax.tree.map(lambda x: jnp.repeat(x, 2, axis=0), group.opposite)
    actual = text_to_image(
        model.modules,
        model.params,
        group.conditions.states,
        opposite.states,
        jnp.asarray(noise),
        sampler=model.default_sampler,
        steps=STEPS,
        guidance=guidance,
        added=AddedConditions(group.conditions.pooled, sizes),
        negative_added=AddedConditions(opposite.pooled, sizes),
    )
    assert model.default_sampler == "checkpoint" and desired.std() > 0.05
    np.testing.assert_allclose(actual, desired, atol=2e-5)


def test_files_written_by_diffusers_load_here(model, pipeline, tmp_path):
    pipeline.save_pretrained(tmp_path)
    loaded = load_stable_diffusion(str(tmp_path))
    assert type(loaded) is type(model) and loaded.zeroes_negative
    for part in ("unet", "vae", "text_tower"):
        assert getattr(loaded, part).config == getattr(model, part).config
    assert loaded.modules.text_tower_2.config == model.modules.text_tower_2.config
    assert loaded.default_sampler == "checkpoint"
    jax.tree.map(np.testing.assert_array_equal, loaded.params, model.params)


def test_keys_are_diffusers(model, pipeline, directory):
    """All of them and no other."""
    ours = to_source(unet_table(linear_projection=True), model.params["unet"])
    assert ours.keys() == pipeline.unet.state_dict().keys()
    second = read_tensors(directory / "text_encoder_2")
    theirs = pipeline.text_encoder_2.state_dict()
    assert second.keys() == {key for key in theirs if "position_ids" not in key}
