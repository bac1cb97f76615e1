"""Small Stable Diffusions in one file, as web UIs use them."""

from dataclasses import replace

import numpy as np

from common.clip import TextConfig, TextTower
from common.clip.checkpoint import abstract_text
from common.diffusion import (
    AutoencoderKL,
    Modules,
    NoiseSchedule,
    StableDiffusion,
    UNet,
    UNetConfig,
    VAEConfig,
)
from common.diffusion.checkpoint import abstract_unet, abstract_vae
from common.diffusion.single_file import _SCHEDULER
from common.weights.clip import HF_TEXT_TOWER, OPEN_CLIP_TEXT_TOWER
from common.weights.table import to_source
from common.weights.web_ui import unet_table, vae_table
from tests.diffusion.conftest import draw

VAE = VAEConfig(block_out_channels=(32, 64), layers_per_block=1)
V1 = UNetConfig(
    block_out_channels=(32, 64, 64),
    down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    cross_attention_dim=64,
)
V2 = replace(
    V1,
    sample_size=96,
    block_out_channels=(64, 128, 128),
    attention_head_dim=(1, 2, 2),
    use_linear_projection=True,
)


def small_model(tokenizer, second=False):
    """A model of 1.x, or of 2.x that predicts velocities, with random weights."""
    text = TextConfig(
        vocab_size=tokenizer.vocab_size,
        width=64,
        layers=2,
        heads=1,
        mlp_width=128,
        activation="gelu" if second else "quick_gelu",
        bos=tokenizer.bos,
        eos=tokenizer.eos,
        pad=0 if second else tokenizer.pad,
        pool="argmax",
    )
    unet, vae = (
        UNet(V2 if second else V1),
        AutoencoderKL(replace(VAE, sample_size=768 if second else 512)),
    )
    predicts = {"prediction_type": "v_prediction" if second else "epsilon"}
    modules = Modules(unet, vae, TextTower(text), NoiseSchedule.from_dict(_SCHEDULER | predicts))
    params = {
        "unet": draw(abstract_unet(unet)),
        "vae": draw(abstract_vae(vae), 1),
        "text": draw(abstract_text(text), 2),
    }
    return StableDiffusion(modules, tokenizer, params, "")


def in_one_file(model, whole_text=True):
    """The tensors of a model by the keys of web UIs, with what else their files hold."""
    config = model.unet.config
    second = config.use_linear_projection
    attends = [kind.startswith("CrossAttn") for kind in config.up_block_types]
    unet = unet_table(config.layers_per_block, attends, second)
    text = OPEN_CLIP_TEXT_TOWER if second else HF_TEXT_TOWER
    parts = (
        ("model.diffusion_model.", unet, "unet"),
        ("first_stage_model.", vae_table(len(model.vae.config.block_out_channels)), "vae"),
        (f"cond_stage_model.{'model' if second else 'transformer'}.", text, "text"),
    )
    tensors = {
        f"{prefix}{key}": x
        for prefix, table, name in parts
        for key, x in to_source(table, model.params[name]).items()
    }
    tensors |= {"alphas_cumprod": np.ones(1000, np.float32), "model_ema.decay": np.ones((), "f4")}
    tensors["first_stage_model.loss.logvar"] = np.zeros((), np.float32)
    if not second:
        ids = np.arange(77)[None]
        tensors["cond_stage_model.transformer.text_model.embeddings.position_ids"] = ids
    elif whole_text:  # The last block is there, and is not used.
        prefix = "cond_stage_model.model."
        block = f"{prefix}transformer.resblocks.1."
        last = {key: x for key, x in tensors.items() if key.startswith(block)}
        tensors |= {key.replace("resblocks.1.", "resblocks.2."): 0 * x for key, x in last.items()}
        tensors[f"{prefix}text_projection"] = np.eye(64, dtype=np.float32)
        tensors[f"{prefix}logit_scale"] = np.array(4.6, np.float32)
    return tensors


def without(tensors, *prefixes):
    """The tensors whose keys begin otherwise."""
    return {key: x for key, x in tensors.items() if not key.startswith(prefixes)}
