"""A Stable Diffusion from its configurations, tokenizers and weights."""

import dataclasses
from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from common.clip.text import TextTower
from common.clip.tokenizer import Tokenizer
from common.diffusion.added import AddedConditions
from common.diffusion.architecture import Architecture, XLArchitecture
from common.diffusion.config import SIZES
from common.diffusion.model import StableDiffusion, StableDiffusionXL
from common.diffusion.parts import Modules
from common.diffusion.text_encoder import FIRST, SECOND, TextPart
from common.diffusion.unet import UNet
from common.diffusion.vae import AutoencoderKL
from common.trees import Params

Tokenizers = Mapping[TextPart, Tokenizer]


def make_modules(
    sizes: Architecture, dtype: DTypeLike, attention: str = "plain", remat: str = "none"
) -> Modules:
    """Return the networks; the options are those of `load_stable_diffusion`."""
    towers = {part: TextTower(config, dtype) for part, config in sizes.texts.items()}
    return Modules(
        UNet(sizes.unet, dtype, attention, remat),
        AutoencoderKL(sizes.vae, dtype, attention),
        towers[FIRST],
        sizes.schedule,
        towers.get(SECOND),
    )


def make_model(
    sizes: Architecture, modules: Modules, tokenizers: Tokenizers, params: Params, name: str
) -> StableDiffusion:
    """Return the model of the kind that its sizes are of; `name` is its fingerprint."""
    for part, text in sizes.texts.items():
        tokenizers[part].fit_into(text.positions)
    parts = (modules, tokenizers[FIRST], params, name)
    if isinstance(sizes, XLArchitecture):
        return StableDiffusionXL(*parts, tokenizers[SECOND], sizes.zeroes_negative)
    return StableDiffusion(*parts)


def with_ids(sizes: Architecture, tokenizers: Tokenizers) -> Architecture:
    """Return sizes whose text encoders have the special ids of their tokenizers.

    Published configurations hold wrong ones; the tokenizers' are those in use.
    """
    fields = {FIRST: "text", SECOND: "text_2"}
    texts = {
        fields[part]: dataclasses.replace(config, bos=ids.bos, eos=ids.eos, pad=ids.pad)
        for part, config in sizes.texts.items()
        for ids in [tokenizers[part]]
    }
    return dataclasses.replace(sizes, **texts)


def facts_of(sizes: Architecture) -> list[str]:
    """Return what the numbers of a model depend on beside its weights, for its fingerprint."""
    facts = [sizes.unet, sizes.vae, sizes.text, sizes.schedule]
    if isinstance(sizes, XLArchitecture):
        facts += [sizes.text_2, f"zeroes_negative={sizes.zeroes_negative}"]
    return list(map(repr, facts))


def abstract_unet(unet: UNet) -> Params:
    """Return the shapes and dtypes of a UNet's parameters, without computing them."""
    side = 2 ** (len(unet.config.block_out_channels) - 1)
    latents = jnp.zeros((1, side, side, unet.config.in_channels))
    states = jnp.zeros((1, 1, unet.config.cross_attention_dim))
    width = unet.config.pooled_width
    added = [] if width is None else [AddedConditions(jnp.zeros((1, width)), jnp.zeros((1, SIZES)))]
    return _abstract(unet, latents, jnp.zeros(1), states, *added)


def abstract_vae(vae: AutoencoderKL) -> Params:
    """Return the shapes and dtypes of an autoencoder's parameters, without computing them."""
    side = vae.config.downsampling
    return _abstract(vae, jnp.zeros((1, side, side, vae.config.in_channels)))


def _abstract(module: nn.Module, *inputs: jax.Array | AddedConditions) -> Params:
    return jax.eval_shape(module.init, jax.random.key(0), *inputs)["params"]
