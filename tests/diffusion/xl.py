"""A small Stable Diffusion XL with the shapes' variety of the published one."""

import tempfile
from dataclasses import replace

import jax.numpy as jnp

from common.clip import TextConfig, Tokenizer
from common.clip.checkpoint import abstract_text
from common.diffusion import NoiseSchedule, UNetConfig, VAEConfig
from common.diffusion.architecture import XLArchitecture
from common.diffusion.assembly import abstract_unet, abstract_vae, make_model, make_modules
from common.diffusion.text_encoder import FIRST, SECOND
from common.diffusion.xl_file import XL_SCHEDULER
from tests.diffusion.conftest import VAE, draw

# Heads and depths per level, none at the first one, as published; whose depth is never read.
UNET = {
    "_class_name": "UNet2DConditionModel",
    "sample_size": 8,
    "block_out_channels": [32, 64, 64],
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "layers_per_block": 1,
    "attention_head_dim": [2, 4, 8],
    "cross_attention_dim": 56,
    "norm_num_groups": 8,
    "use_linear_projection": True,
    "transformer_layers_per_block": [1, 1, 2],
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 64,
}


def xl_architecture(tokenizer, **changes):
    """Its configurations; `changes` are fields of `XLArchitecture`."""
    sizes = {"vocab_size": tokenizer.vocab_size, "bos": tokenizer.bos, "eos": tokenizer.eos}
    parts = {
        "unet": UNetConfig.from_dict(UNET),
        "vae": replace(VAEConfig.from_dict(VAE), scaling_factor=0.13025, force_upcast=True),
        "text": TextConfig(**sizes, width=24, layers=2, heads=2, mlp_width=48, pad=tokenizer.pad),
        "schedule": NoiseSchedule.from_dict(XL_SCHEDULER),
        "text_2": TextConfig(
            **sizes,
            width=32,
            layers=3,
            heads=4,
            mlp_width=64,
            activation="gelu",
            projection=16,
            pad=0,
            pool="argmax",
        ),
    }
    return XLArchitecture(**parts | changes)


def xl_model(tokenizer, architecture=None):
    """The model, with random weights."""
    sizes = architecture or xl_architecture(tokenizer)
    modules = make_modules(sizes, jnp.float32)
    params = {
        "unet": draw(abstract_unet(modules.unet)),
        "vae": draw(abstract_vae(modules.vae), 1),
        "text": draw(abstract_text(sizes.text), 2),
        "text_2": draw(abstract_text(sizes.text_2), 3),
    }
    tokenizers = {FIRST: tokenizer, SECOND: padded_with_zero(tokenizer)}
    return make_model(sizes, modules, tokenizers, params, "small XL")


def padded_with_zero(tokenizer):
    """The tokenizer of the second text encoder."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save(folder)
        return Tokenizer.from_directory(folder, pad=0)
