"""From text states to images, as pure functions."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from common.clip.text import TextTower
from common.diffusion.added import AddedConditions
from common.diffusion.parts import Modules
from common.diffusion.samplers import sample
from common.trees import Params


@functools.partial(jax.jit, static_argnames="tower")
def prompt_states(
    tower: TextTower, params: Params, ids: Int[Array, "b s"]
) -> Float[Array, "b s d"]:
    """Return what the UNet attends to: the text tower's last hidden states at all positions.

    Args:
      tower: `StableDiffusion.text_tower`.
      params: `StableDiffusion.params["text"]`.
      ids: As the tokenizer packs them, padded to the tower's positions as in training.
    """
    embeddings = tower.apply({"params": params}, ids, method="embed")
    # The tower always pools; the position does not matter here.
    anywhere = jnp.zeros(len(ids), jnp.int32)
    return tower.apply({"params": params}, embeddings, anywhere).last_hidden_state


@functools.partial(jax.jit, static_argnames=("modules", "sampler", "steps"))
def text_to_image(
    modules: Modules,
    params: Params,
    states: Float[Array, "b s d"],
    negative_states: Float[Array, "b s d"],
    noise: Float[Array, "b h w c"],
    key: Key[Array, ""] | Key[Array, "b"] | None = None,
    *,
    sampler: str = "dpmpp_2m",
    steps: int = 25,
    guidance: float | Float[Array, ""] = 7.5,
    added: AddedConditions | None = None,
    negative_added: AddedConditions | None = None,
) -> Float[Array, "b H W 3"]:
    """Sample one image for each row of `states`, with classifier-free guidance.

    The conditional and the unconditional predictions are one batch of twice the size (Ho and
    Salimans 2022, equation 6, with diffusers' convention for the weight).

    Args:
      modules: `StableDiffusion.modules`.
      params: `StableDiffusion.params`; the text tower's are not read.
      states: Of the prompts, from `prompt_states` (of XL from `encode_texts`); rows may differ in
        their prompt.
      negative_states: Of what to steer away from, usually the empty prompt.
      noise: Standard normal, of the latents' shape.
      key: For samplers that add noise on the way; one for each row makes it independent of the
        rows beside it.
      sampler: A key of `common.diffusion.SAMPLERS`.
      steps: Number of network calls.
      guidance: Weight of the conditional prediction; 1 or less is no guidance, as in diffusers.
      added: What XL is conditioned on besides.
      negative_added: The same of what to steer away from.

    Returns:
      Images in [0, 1].

    Raises:
      UserError: See `common.diffusion.sample`.
    """
    conditions = [jnp.concatenate([negative_states, states])]
    if added is not None:
        conditions.append(jax.tree.map(_both, negative_added, added))

    # Below 1 the prompt would count less, and at 0, which XL turbo is asked for, not at all.
    weight = jnp.maximum(guidance, 1.0)

    def denoise(latents: Array, timesteps: Array) -> Array:
        output = modules.unet.apply(
            {"params": params["unet"]},
            jnp.concatenate([latents, latents]),
            jnp.concatenate([timesteps, timesteps]),
            *conditions,
        )
        unconditional, conditional = jnp.split(output, 2)
        return unconditional + weight * (conditional - unconditional)

    def step_noise(index: Array) -> Array:
        def drawn(key: Array, shape: tuple[int, ...]) -> Array:
            return jax.random.normal(jax.random.fold_in(key, index), shape)

        if not key.ndim:
            return drawn(key, noise.shape)
        return jax.vmap(lambda row_key: drawn(row_key, noise.shape[1:]))(key)

    latents = sample(
        sampler,
        modules.schedule,
        denoise,
        noise,
        steps=steps,
        step_noise=None if key is None else step_noise,
    )
    return latents_to_images(modules, params, latents)


def _both(one: Array, other: Array) -> Array:
    return jnp.concatenate([one, other])


def latents_to_images(
    modules: Modules, params: Params, latents: Float[Array, "b h w c"]
) -> Float[Array, "b H W 3"]:
    """Decode latents of unit variance into images in [0, 1]."""
    pixels = modules.vae.apply(
        {"params": params["vae"]}, latents / modules.vae.config.scaling_factor, method="decode"
    )
    return jnp.clip(pixels / 2 + 0.5, 0.0, 1.0)
