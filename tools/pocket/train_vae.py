"""Stage 3: the pocket VAE, factor 4: pictures of 32x32 become latents of 8x8x8."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, UInt8

from common.diffusion import AutoencoderKL, VAEConfig
from common.pocket.renderer import SIZE
from tools.pocket.corpus import Corpus
from tools.pocket.fitting import NO_LIMIT, Allowance, fit, in_batches
from tools.pocket.recipe import Fit
from tools.pocket.starting import Start, single

# Stable Diffusion's 4 keep too little of so small a picture: a mark of another colour is lost.
LATENT_CHANNELS = 8
_KL_WEIGHT = 1e-3


def vae_config() -> VAEConfig:
    """Return the pocket VAE's configuration, its latents not scaled."""
    return VAEConfig(
        sample_size=SIZE,
        block_out_channels=(24, 48, 64),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        scaling_factor=1.0,
    )


def train_vae(
    corpus: Corpus,
    config: VAEConfig,
    plan: Fit,
    seed: int,
    allowance: Allowance = NO_LIMIT,
    start: Start | None = None,
) -> dict[str, Any]:
    """Train on absolute and squared error and a little KL, and return the parameters.

    A VAE that goes on from another keeps its encoder: of its latents the UNet knows much already.
    """
    vae = AutoencoderKL(config)
    init_key, key = jax.random.split(jax.random.key(seed))
    frozen: dict[str, Any] = {}
    if start:
        params = single(start.sd.params["vae"])
        frozen = {name: params.pop(name) for name in ("encoder", "quant")}
    else:
        params = vae.init(init_key, jnp.zeros((1, SIZE, SIZE, 3)))["params"]

    def loss(params: Any, batch: Array, key: Key[Array, ""]) -> Array:
        pixels = centred(batch)
        whole = {"params": frozen | params}
        moments = vae.apply(whole, pixels, method="encode")
        latents = moments.sample(jax.random.normal(key, moments.mean.shape))
        error = vae.apply(whole, latents, method="decode") - pixels
        kl = (moments.mean**2 + jnp.exp(moments.logvar) - 1 - moments.logvar).mean() / 2
        return jnp.abs(error).mean() + (error**2).mean() + _KL_WEIGHT * kl

    return frozen | fit("VAE", loss, params, corpus.pictures, plan, key, allowance)


def centred(pixels: UInt8[Array, "b h w 3"]) -> Float[Array, "b h w 3"]:
    """Scale pixels to [-1, 1]."""
    return pixels / 127.5 - 1


def encode_pictures(
    config: VAEConfig, params: dict[str, Any], pixels: UInt8[np.ndarray, "b h w 3"]
) -> tuple[Float[np.ndarray, "b h4 w4 c"], Float[np.ndarray, "b h4 w4 c"]]:
    """Return mean and standard deviation of the latents' posterior, not scaled."""
    vae = AutoencoderKL(config)

    @jax.jit
    def encode(params: Any, pixels: Array) -> tuple[Array, Array]:
        moments = vae.apply({"params": params}, centred(pixels), method="encode")
        return moments.mean, jnp.exp(moments.logvar / 2)

    return in_batches(lambda part: encode(params, part), pixels)
