"""Stable Diffusion without its weights: the sizes of published models."""

import dataclasses
from collections.abc import Mapping

import jax.numpy as jnp
from jax.typing import DTypeLike

from common.clip.config import TextConfig
from common.clip.hugging_face import text_from_json
from common.clip.known import (
    abstract_text,
    describe_tokenizer,
    known,
    local_directory,
    of_dtype,
    single_file,
)
from common.clip.text import TextTower
from common.diffusion.architecture import Architecture
from common.diffusion.checkpoint import abstract_unet, abstract_vae
from common.diffusion.config import UNetConfig, VAEConfig
from common.diffusion.model import StableDiffusion
from common.diffusion.parts import Modules
from common.diffusion.schedule import NoiseSchedule
from common.diffusion.single_file import open_single_file, text_sizes_of
from common.diffusion.unet import UNet
from common.diffusion.vae import AutoencoderKL
from common.files import read_record
from common.sizes import REMEDY

_V1 = Architecture(
    UNetConfig(),
    VAEConfig(),
    TextConfig(49408, 768, 12, 12, 3072, pool="argmax"),
    NoiseSchedule(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        steps_offset=1,
        set_alpha_to_one=False,
    ),
)
_V2_BASE = Architecture(
    UNetConfig(
        attention_head_dim=(5, 10, 20, 20),
        cross_attention_dim=1024,
        use_linear_projection=True,
    ),
    VAEConfig(sample_size=768),
    TextConfig(49408, 1024, 23, 16, 4096, activation="gelu", pool="argmax"),
    _V1.schedule,
)
_V2 = dataclasses.replace(
    _V2_BASE,
    unet=dataclasses.replace(_V2_BASE.unet, sample_size=96),
    schedule=dataclasses.replace(_V1.schedule, prediction_type="v_prediction"),
)

KNOWN: Mapping[str, Architecture] = {
    "stable-diffusion-v1-5/stable-diffusion-v1-5": _V1,
    "CompVis/stable-diffusion-v1-4": _V1,
    "stabilityai/stable-diffusion-2-1-base": _V2_BASE,
    "stabilityai/stable-diffusion-2-1": _V2,
}


def describe_stable_diffusion(source: str, dtype: DTypeLike = jnp.float32) -> StableDiffusion:
    """Return what `load_stable_diffusion` does, with shapes and dtypes in place of weights.

    Args:
      source: "pocket" or a directory, of which the small files are read; a single file; or a key
        of `KNOWN`.
      dtype: Of the weights and activations.

    Raises:
      UserError: The model is neither at hand nor known.
    """
    directory = local_directory(source)
    if file := single_file(source):
        opened = open_single_file(file)
        sizes, tokenizer = opened.architecture, opened.tokenizer
    elif directory is None:
        sizes = known(KNOWN, source)
        tokenizer = describe_tokenizer(None, sizes.text)
    else:
        directory = directory / "sd" if source == "pocket" else directory
        sizes = Architecture.from_directory(directory)
        tokenizer = describe_tokenizer(directory / "tokenizer", sizes.text)
    modules = Modules(
        UNet(sizes.unet, dtype),
        AutoencoderKL(sizes.vae, dtype),
        TextTower(sizes.text, dtype),
        sizes.schedule,
    )
    params = {
        "unet": abstract_unet(modules.unet),
        "vae": abstract_vae(modules.vae),
        "text": abstract_text(sizes.text),
    }
    return StableDiffusion(modules, tokenizer, of_dtype(params, dtype), "abstract")


def text_width(source: str) -> int | None:
    """Return the width of a local model's text states, from its small files; None: not local."""
    if file := single_file(source):
        return text_sizes_of(file).width
    directory = local_directory(source)
    if directory is None:
        return None
    directory = directory / "sd" if source == "pocket" else directory
    return text_from_json(read_record(directory / "text_encoder/config.json", REMEDY)).width
