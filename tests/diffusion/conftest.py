"""Small models with the shapes' variety of the published ones."""

import jax
import numpy as np
import pytest

from common.diffusion import AutoencoderKL, UNet, UNetConfig, VAEConfig

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
    "sample_size": 32,
    "block_out_channels": [16, 32, 32],
    "down_block_types": ["DownEncoderBlock2D"] * 3,
    "up_block_types": ["UpDecoderBlock2D"] * 3,
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


def noisy(tree, seed=0):
    """Random values everywhere, also where initialisers leave zeros and ones."""
    rng = np.random.default_rng(seed)

    def disturb(leaf):
        noise = rng.standard_normal(leaf.shape).astype(np.float32)
        return np.asarray(leaf) * (1 + 0.1 * noise) + 0.05 * noise

    return jax.tree.map(disturb, tree)


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
    latents = rng.standard_normal((2, 8, 8, 4)).astype(np.float32)
    text_states = rng.standard_normal((2, 7, 24)).astype(np.float32)
    return latents, np.array([3, 801], np.int32), text_states


@pytest.fixture(scope="session")
def pocket_unet(unet_inputs):
    """Configuration and parameters of a UNet."""
    config = UNetConfig.from_dict(UNET_POCKET)
    params = jax.jit(UNet(config).init)(jax.random.key(0), *unet_inputs)["params"]
    return config, noisy(params)


@pytest.fixture(scope="session")
def small_vae():
    """Configuration and parameters of an autoencoder."""
    config = VAEConfig.from_dict(VAE)
    pixels = np.zeros((1, 16, 16, 3), np.float32)
    params = jax.jit(AutoencoderKL(config).init)(jax.random.key(0), pixels)["params"]
    return config, noisy(params)
