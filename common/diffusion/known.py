"""Stable Diffusion without its weights: the sizes of published models."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import jax.numpy as jnp
from jax.typing import DTypeLike

from common.clip.checkpoint import abstract_text
from common.clip.config import TextConfig
from common.clip.known import describe_tokenizer, known, of_dtype
from common.diffusion.architecture import (
    Architecture,
    XLArchitecture,
    read_architecture,
)
from common.diffusion.assembly import abstract_unet, abstract_vae, make_model, make_modules
from common.diffusion.config import UNetConfig, VAEConfig
from common.diffusion.model import StableDiffusion
from common.diffusion.schedule import NoiseSchedule
from common.diffusion.single_file import open_single_file, texts_of
from common.diffusion.xl_file import XL_SCHEDULER
from common.weights.resolve import local_directory, single_file

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
_XL = XLArchitecture(
    UNetConfig(
        sample_size=128,
        block_out_channels=(320, 640, 1280),
        down_block_types=("DownBlock2D",) + ("CrossAttnDownBlock2D",) * 2,
        up_block_types=("CrossAttnUpBlock2D",) * 2 + ("UpBlock2D",),
        attention_head_dim=(5, 10, 20),
        cross_attention_dim=2048,
        use_linear_projection=True,
        transformer_layers_per_block=(1, 2, 10),
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=2816,
    ),
    VAEConfig(sample_size=1024, scaling_factor=0.13025, force_upcast=True),
    _V1.text,
    NoiseSchedule.from_dict(XL_SCHEDULER),
    TextConfig(49408, 1280, 32, 20, 5120, activation="gelu", projection=1280, pad=0, pool="argmax"),
)
_TURBO = dataclasses.replace(
    _XL,
    unet=dataclasses.replace(_XL.unet, sample_size=64),
    schedule=NoiseSchedule.from_dict(
        XL_SCHEDULER
        | {"_class_name": "EulerAncestralDiscreteScheduler", "timestep_spacing": "trailing"}
    ),
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
    "stabilityai/stable-diffusion-xl-base-1.0": _XL,
    "stabilityai/sdxl-turbo": _TURBO,
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
    if file := single_file(source):
        opened = open_single_file(file)
        sizes, tokenizers = opened.architecture, opened.tokenizers
    else:
        sizes, directory = architecture_of(source), _local_directory(source)
        tokenizers = {
            part: describe_tokenizer(directory and directory / part.tokenizer, config)
            for part, config in sizes.texts.items()
        }
    modules = make_modules(sizes, dtype)
    texts = {part.params: abstract_text(config) for part, config in sizes.texts.items()}
    networks = {"unet": abstract_unet(modules.unet), "vae": abstract_vae(modules.vae)}
    return make_model(sizes, modules, tokenizers, of_dtype(networks | texts, dtype), "abstract")


def architecture_of(source: str) -> Architecture:
    """Return the configurations of a model at hand, or of a key of `KNOWN`.

    Raises:
      UserError: The model is neither.
    """
    if file := single_file(source):
        return open_single_file(file).architecture
    directory = _local_directory(source)
    return known(KNOWN, source) if directory is None else read_architecture(directory)


def local_text_widths(source: str) -> tuple[int, ...] | None:
    """Return the widths of a local model's text states, from its small files; None: not local."""
    if file := single_file(source):
        return tuple(text.width for text in texts_of(file))
    directory = _local_directory(source)
    if directory is None:
        return None
    return tuple(text.width for text in read_architecture(directory).texts.values())


def _local_directory(source: str) -> Path | None:
    """Return the directory of a local model in diffusers' layout."""
    directory = local_directory(source)
    return directory / "sd" if source == "pocket" else directory
