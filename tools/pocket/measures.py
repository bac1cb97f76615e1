"""Figures of the pocket models: seen against unseen, named against described.

Everything is measured on pictures that no training has seen. "Unseen" looks are those that
`world.is_unseen` keeps out of pretraining altogether.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, UInt8

from common.clip import CLIP, encode_image, encode_text
from common.diffusion import Modules, StableDiffusion, prompt_states, text_to_image
from common.evaluation.classification import accuracy, nearest_by_cosine
from common.photos.images import to_uint8
from common.pocket.captions import captions, plain_description
from common.pocket.renderer import render
from common.pocket.world import (
    ANONYMOUS,
    NAMED,
    NAMELESS,
    RARE,
    SECOND,
    UNSEEN,
    Scene,
    Species,
    sample_scene,
)
from tools.pocket.fitting import in_batches
from tools.pocket.train_clip import normalised
from tools.pocket.train_vae import centred

GUIDANCE, STEPS = 4.0, 25
FORMS = (
    *("a photo of a {}", "a photo of a {}.", "{}", "the {}.", "itap of a {}."),
    *("a picture of a {}", "a photo of a {}, a type of creature."),
)
"""Templates between which a class name should make no difference."""

_GALLERY = 100  # Candidates in every retrieval.


def photos_of(
    species: Sequence[Species], count: int, seed: int, style: str = "photo"
) -> list[Scene]:
    """Draw `count` scenes, the species taking turns."""
    # Far from the corpus, whose generators have the seeds (seed, index).
    return [
        sample_scene(species[index % len(species)], np.random.default_rng((seed, index, 1)), style)
        for index in range(count)
    ]


def some_of(species: Sequence[Species], count: int, seed: int) -> list[Species]:
    """Draw `count` different species, or all of them in another order."""
    order = np.random.default_rng(seed).permutation(len(species))
    return [species[number] for number in order[:count]]


def measure_clip(clip: CLIP, count: int, seed: int, model: str = "clip") -> dict[str, float]:
    """Measure zero-shot accuracy by name and by description, and retrieval among 100.

    Args:
      clip: A CLIP or a SigLIP.
      count: Pictures of each kind.
      seed: Of the pictures.
      model: Begins the figures' names.
    """
    figures = {}
    sets = {"named": NAMED[:24], "rare": RARE, "second": SECOND, "nameless": NAMELESS}
    for name, chosen in sets.items():
        scenes = photos_of(chosen, count, seed)
        labels = np.arange(count) % len(chosen)
        features = picture_features(clip, render(scenes))
        texts = {
            "name": [f"a photo of a {species.name}" for species in chosen],
            "description": [f"a photo of {plain_description(species)}" for species in chosen],
        }
        for kind, prompts in texts.items():
            predicted = nearest_by_cosine(features, text_features(clip, prompts))
            figures[f"{model}/{name}/accuracy_by_{kind}"] = accuracy(predicted, labels)
        if name != "nameless":
            found = accuracy_by_form(clip, chosen, features, labels).values()
            figures[f"{model}/{name}/spread_over_templates"] = max(found) - min(found)
    for name, style in (("rare_sketch", "sketch"), ("rare_neon", "neon")):
        scenes = photos_of(RARE, count, seed, style)
        features = picture_features(clip, render(scenes))
        prompts = [f"a {style} of {plain_description(species)}" for species in RARE]
        predicted = nearest_by_cosine(features, text_features(clip, prompts))
        key = f"{model}/{name}/accuracy_by_description"
        figures[key] = accuracy(predicted, np.arange(count) % len(RARE))
    for name, species in (("seen", ANONYMOUS), ("unseen", UNSEEN)):
        figures[f"{model}/{name}_looks/retrieval_accuracy"] = _retrieval(clip, species, count, seed)
    return figures


def accuracy_by_form(
    clip: CLIP, species: Sequence[Species], features: np.ndarray, labels: np.ndarray
) -> dict[str, float]:
    """Return for each of `FORMS` how many pictures are found by the names in it."""
    found = {}
    for form in FORMS:
        texts = text_features(clip, [form.format(one.name) for one in species])
        found[form] = accuracy(nearest_by_cosine(features, texts), labels)
    return found


def _retrieval(clip: CLIP, species: Sequence[Species], count: int, seed: int) -> float:
    """Return the share of pictures whose own caption comes first among `_GALLERY`."""
    scenes = photos_of(some_of(species, len(species), seed), count, seed)
    images = picture_features(clip, render(scenes))
    texts = text_features(clip, [captions(scene, 1)[0] for scene in scenes])
    hits = []
    for start in range(0, count - count % _GALLERY, _GALLERY):
        rows = slice(start, start + _GALLERY)
        hits.append(nearest_by_cosine(images[rows], texts[rows]) == np.arange(_GALLERY))
    return float(np.mean(hits))


def measure_sd(clip: CLIP, sd: StableDiffusion, count: int, seed: int) -> dict[str, float]:
    """Measure errors of reconstruction and noise prediction, and accuracy of generated pictures."""
    figures = {}
    for name, species in (("seen", ANONYMOUS), ("unseen", UNSEEN)):
        chosen = some_of(species, _GALLERY, seed)
        scenes = photos_of(chosen, count, seed)
        pixels = render(scenes)
        error = reconstructions(sd, pixels).astype(float) / 255 - pixels / 255
        figures[f"vae/{name}_looks/absolute_error"] = float(np.abs(error).mean())
        figures[f"vae/{name}_looks/psnr_db"] = float(-10 * np.log10((error**2).mean()))
        texts = [captions(scene, 1)[0] for scene in scenes]
        figures[f"unet/{name}_looks/noise_error"] = _noise_error(sd, pixels, texts, seed)
        prompts = [f"a photo of {plain_description(species)}" for species in chosen]
        figures[f"sd/{name}_looks/generated_accuracy"] = _generated_accuracy(
            clip, sd, prompts, prompts, seed
        )
    names = [f"a photo of a {species.name}" for species in NAMED[:_GALLERY]]
    looks = [f"a photo of {plain_description(species)}" for species in NAMED[:_GALLERY]]
    key = "sd/named_species/generated_accuracy"
    figures[key] = _generated_accuracy(clip, sd, names, looks, seed)
    return figures


def _generated_accuracy(
    clip: CLIP, sd: StableDiffusion, prompts: list[str], described: list[str], seed: int
) -> float:
    """Return the share of generated pictures that CLIP finds closest to their own description."""
    features = picture_features(clip, generate(sd, prompts, seed))
    predicted = nearest_by_cosine(features, text_features(clip, described))
    return accuracy(predicted, np.arange(len(prompts)))


def picture_features(clip: CLIP, pixels: UInt8[np.ndarray, "b h w 3"]) -> Float[np.ndarray, "b p"]:
    """Return image features of pictures that have CLIP's size."""

    @jax.jit
    def encode(params: Any, part: Array) -> Array:
        pixels = normalised(part, clip.preprocess.mean, clip.preprocess.std)
        return encode_image(clip.image_tower, params, pixels)

    return in_batches(partial(encode, clip.params["vision"]), pixels)


def text_features(clip: CLIP, texts: Sequence[str]) -> Float[np.ndarray, "b p"]:
    """Return text features; padding is cut off where the tower is causal."""
    encode = jax.jit(encode_text, static_argnums=0)
    ids = clip.tokenizer(texts, truncate=not clip.config.text.causal)
    if clip.config.text.causal:
        ids = ids[:, : int((ids != clip.tokenizer.pad).sum(1).max()) + 1]
    return in_batches(lambda part: encode(clip.text_tower, clip.params["text"], part), ids)


def reconstructions(
    sd: StableDiffusion, pixels: UInt8[np.ndarray, "b h w 3"]
) -> UInt8[np.ndarray, "b h w 3"]:
    """Return pictures after the VAE's encoder and decoder."""
    rebuild = jax.jit(lambda params, part: sd.vae.apply({"params": params}, centred(part)))
    return to_uint8(in_batches(partial(rebuild, sd.params["vae"]), pixels) / 2 + 0.5)


def generate(
    sd: StableDiffusion, prompts: Sequence[str], seed: int
) -> UInt8[np.ndarray, "b h w 3"]:
    """Draw one picture for each prompt."""
    tower, params = sd.text_tower, sd.params
    states = prompt_states(tower, params["text"], sd.tokenizer(prompts))
    empty = prompt_states(tower, params["text"], sd.tokenizer([""] * len(prompts)))
    noise = jax.random.normal(jax.random.key(seed), (len(prompts), *sd.latent_shape))
    images = text_to_image(sd.modules, params, states, empty, noise, steps=STEPS, guidance=GUIDANCE)
    return to_uint8(np.asarray(images))


def _noise_error(
    sd: StableDiffusion, pixels: UInt8[np.ndarray, "b h w 3"], texts: list[str], seed: int
) -> float:
    """Return the mean squared error of the predicted noise, over all times."""
    ids = sd.tokenizer(texts)
    errors = in_batches(
        lambda pixels, ids, index: _squared_errors(
            sd.modules, sd.params, pixels, ids, jax.random.fold_in(jax.random.key(seed), index[0])
        ),
        pixels,
        ids,
        np.arange(len(pixels)),
    )
    return float(errors.mean())


@partial(jax.jit, static_argnums=0)
def _squared_errors(
    modules: Modules, params: Any, pixels: Array, ids: Int[Array, "b s"], key: Key[Array, ""]
) -> Float[Array, " b"]:
    noise_key, time_key = jax.random.split(key)
    mean = modules.vae.apply({"params": params["vae"]}, centred(pixels), method="encode").mean
    latents = mean * modules.vae.config.scaling_factor
    noise = jax.random.normal(noise_key, latents.shape)
    times = jax.random.randint(time_key, (len(latents),), 0, 1000)
    noisy = modules.schedule.add_noise(latents, noise, times)
    states = prompt_states(modules.text_tower, params["text"], ids)
    predicted = modules.unet.apply({"params": params["unet"]}, noisy, times, states)
    return jnp.mean((predicted - noise) ** 2, axis=(1, 2, 3))
