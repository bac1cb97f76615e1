"""Small models with the shapes' variety of the published ones."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.clip import TextConfig, TextTower, Tokenizer
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

# SD 1.x in small: projections stored as convolutions, one number of heads for all levels.
UNET_V1 = {
    "_class_name": "UNet2DConditionModel",
    "sample_size": 8,
    "block_out_channels": [32, 64, 64],
    "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
    "layers_per_block": 2,
    "attention_head_dim": 8,
    "cross_attention_dim": 24,
    "norm_num_groups": 8,
}
# SD 2.x in small: linear projections, heads per level.
UNET_V2 = UNET_V1 | {
    "attention_head_dim": [2, 4, 4],
    "use_linear_projection": True,
    "upcast_attention": True,
}
# As small as the bundled model: two levels, one layer, attention at an unusual place.
UNET_POCKET = UNET_V1 | {
    "block_out_channels": [16, 32],
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
    "layers_per_block": 1,
    "attention_head_dim": 4,
}
UNETS = {"v1": UNET_V1, "v2": UNET_V2, "pocket": UNET_POCKET}
VAE = {
    "_class_name": "AutoencoderKL",
    "sample_size": 16,
    "block_out_channels": [16, 32],
    "down_block_types": ["DownEncoderBlock2D"] * 2,
    "up_block_types": ["UpDecoderBlock2D"] * 2,
    "layers_per_block": 1,
    "norm_num_groups": 8,
}
# scheduler_config.json as published for SD 1.5 and SD 2.1.
SCHEDULER_V1 = {
    "_class_name": "PNDMScheduler",
    "_diffusers_version": "0.6.0",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
}
SCHEDULER_V2 = SCHEDULER_V1 | {
    "_class_name": "DDIMScheduler",
    "prediction_type": "v_prediction",
}


def draw(shapes, seed=0):
    """Random parameters, also where initialisers would leave zeros and ones."""
    rng = np.random.default_rng(seed)

    def leaf(path, shape):
        x = rng.standard_normal(shape.shape).astype(np.float32)
        if path[-1].key == "scale":
            return 1 + 0.1 * x
        fan_in = max(1, int(np.prod(shape.shape[:-1])))
        return (x * fan_in**-0.5 if path[-1].key == "kernel" else 0.05 * x).astype(np.float32)

    return jax.tree_util.tree_map_with_path(leaf, shapes)


@pytest.fixture(scope="session")
def unet_configs():
    return UNETS


@pytest.fixture(scope="session")
def vae_config():
    return VAE


@pytest.fixture(scope="session")
def scheduler_configs():
    return {"v1": SCHEDULER_V1, "v2": SCHEDULER_V2}


@pytest.fixture(scope="session")
def unet_inputs():
    rng = np.random.default_rng(1)
    latents = rng.standard_normal((2, 8, 12, 4)).astype(np.float32)
    text_states = rng.standard_normal((2, 7, 24)).astype(np.float32)
    return jnp.asarray(latents), jnp.array([3, 801]), jnp.asarray(text_states)


@pytest.fixture(scope="session")
def pocket_unet():
    """A UNet and its parameters."""
    unet = UNet(UNetConfig.from_dict(UNET_POCKET))
    return unet, draw(abstract_unet(unet))


@pytest.fixture(scope="session")
def small_vae():
    """An autoencoder and its parameters."""
    vae = AutoencoderKL(VAEConfig.from_dict(VAE))
    return vae, draw(abstract_vae(vae))


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory):
    """CLIP's byte-level vocabulary without any merges: one token per letter."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1)]
    printable += range(ord("®"), ord("ÿ") + 1)
    symbols = [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]
    words = [*symbols, *(f"{symbol}</w>" for symbol in symbols)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    directory = tmp_path_factory.mktemp("tokenizer")
    vocabulary = {word: i for i, word in enumerate(words)}
    (directory / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (directory / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    return Tokenizer.from_directory(directory)


@pytest.fixture(scope="session")
def models(tokenizer, small_vae):
    """Whole small Stable Diffusions; "v2" predicts velocities."""
    text = TextConfig(
        vocab_size=tokenizer.vocab_size,
        width=24,
        layers=2,
        heads=2,
        mlp_width=48,
        bos=tokenizer.bos,
        eos=tokenizer.eos,
        pad=tokenizer.pad,
    )
    tower = TextTower(text)
    states, at = jnp.zeros((1, 3, 24)), jnp.zeros(1, jnp.int32)
    text_shapes = jax.eval_shape(tower.init, jax.random.key(0), states, at)["params"]

    def make(raw_unet, raw_schedule):
        unet = UNet(UNetConfig.from_dict(raw_unet))
        schedule = NoiseSchedule.from_dict(raw_schedule)
        params = {
            "unet": draw(abstract_unet(unet)),
            "vae": small_vae[1],
            "text": draw(text_shapes),
        }
        modules = Modules(unet, small_vae[0], tower, schedule)
        return StableDiffusion(modules, tokenizer, params, "small")

    return {
        "v1": make(UNET_POCKET, SCHEDULER_V1),
        "v2": make(UNET_POCKET | {"use_linear_projection": True}, SCHEDULER_V2),
    }


@pytest.fixture(scope="session")
def model(models):
    return models["v1"]
