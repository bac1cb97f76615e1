"""Stage 4: the pocket UNet, conditioned on the frozen text tower of the pocket CLIP."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from common.clip import TextConfig, TextTower, Tokenizer
from common.diffusion import NoiseSchedule, UNet, UNetConfig, VAEConfig
from common.diffusion.pipeline import prompt_states
from common.pocket.captions import captions
from tools.pocket.corpus import Corpus
from tools.pocket.fitting import NO_LIMIT, Allowance, fit, in_batches
from tools.pocket.recipe import Fit
from tools.pocket.starting import Start
from tools.pocket.train_vae import LATENT_CHANNELS, encode_pictures

# Stable Diffusion's own.
SCHEDULE = NoiseSchedule(
    beta_start=0.00085,
    beta_end=0.012,
    beta_schedule="scaled_linear",
    steps_offset=1,
    set_alpha_to_one=False,
)
_TIME_SHIFT = 0.4  # of logit-normal timesteps, towards more noise
_FIGURE_WEIGHT = 4.0  # of latents that see an object, beside 1 for the ground


def unet_config(text_width: int) -> UNetConfig:
    """Return the pocket UNet's configuration: transformers at 8x8 and at 4x4."""
    return UNetConfig(
        sample_size=8,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(64, 96),
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        attention_head_dim=4,
        cross_attention_dim=text_width,
        norm_num_groups=8,
    )


def scaling_factor(mean: Float[np.ndarray, "b h w c"], std: Float[np.ndarray, "b h w c"]) -> float:
    """Return the factor that gives the latents unit variance."""
    return float(1 / np.sqrt(mean.var() + (std**2).mean()))


def min_snr_weight(timesteps: Int[Array, "b"]) -> Float[Array, "b"]:
    """Return the weight of each sample's noise error, min(SNR, 1) / SNR.

    Min-SNR weighting (arXiv 2303.09556, there with a cap of 5): a small model spends its
    capacity on what gives a picture its shape, not on the last traces of noise.
    """
    alphas_cumprod = jnp.asarray(SCHEDULE.alphas_cumprod)[timesteps]
    return jnp.minimum(1, (1 - alphas_cumprod) / alphas_cumprod)


def drawn_times(key: Key[Array, ""], size: int) -> Int[Array, " size"]:
    """Draw timesteps: half of them evenly, half logit-normal (arXiv 2403.03206, section 3.1).

    The shape of a picture of 8x8 latents is decided between the timesteps 750 and 400: noised that
    far and denoised again without a prompt, a sixth and two thirds of the photos keep theirs.
    The timesteps of a batch lie apart (arXiv 2107.00630, appendix I.1), which steadies the loss.
    """
    even_key, middle_key = jax.random.split(key)
    half = size // 2
    even = _apart(even_key, size - half)
    middle = jax.nn.sigmoid(_TIME_SHIFT + jax.scipy.special.ndtri(_apart(middle_key, half)))
    share = jnp.concatenate([even, middle])
    last = SCHEDULE.num_train_timesteps - 1
    return jnp.round(share * last).astype(jnp.int32)


def _apart(key: Key[Array, ""], count: int) -> Float[Array, " count"]:
    """Draw numbers from 0 to 1, one in each of `count` equal parts."""
    return (jnp.arange(count) + jax.random.uniform(key, (count,))) / count


def mean_by_figure(error: Float[Array, "b h w"], figure: Bool[Array, "b h w"]) -> Float[Array, ""]:
    """Return the mean over latents, in which those that see an object count more."""
    weight = jnp.where(figure, _FIGURE_WEIGHT, 1.0)
    return (weight * error).sum() / weight.sum()


def train_unet(
    corpus: Corpus,
    tokenizer: Tokenizer,
    text: tuple[TextConfig, Any],
    vae: tuple[VAEConfig, Any],
    plan: Fit,
    empty_captions: float,
    seed: int,
    allowance: Allowance = NO_LIMIT,
    start: Start | None = None,
) -> tuple[dict[str, Any], float]:
    """Train on noise prediction, with the text states at all positions as in sampling.

    Half of the time a picture has the caption that CLIP has read, else one in plain words, as
    Stable Diffusion 3 mixes captions (arXiv 2403.03206): names tell little of a shape to a model
    that has seen few pictures. Latents that see something of an object count more: the grounds
    are noise for the most part, which no model foretells.

    Args:
      corpus: Captioned pictures.
      tokenizer: The pocket tokenizer.
      text: Configuration and parameters of the text tower.
      vae: Configuration and parameters of the autoencoder.
      plan: The optimisation.
      empty_captions: Share of samples that see the empty prompt instead of their caption.
      seed: Of all randomness.
      allowance: Seconds, and the file from which an interrupted stage goes on.
      start: Where the UNet starts; the VAE is the same.

    Returns:
      The UNet's parameters and the latents' scaling factor.
    """
    config, text_params = text
    tower, unet = TextTower(config), UNet(unet_config(config.width))
    mean, std = encode_pictures(*vae, corpus.pictures)
    scale = vae[0].scaling_factor if start else scaling_factor(mean, std)

    def states(ids: np.ndarray) -> Array:
        return prompt_states(tower, text_params, ids).astype(jnp.float16)

    described = [captions(scene, 1)[0] for scene in corpus.scenes]
    read, plain = (
        in_batches(states, tokenizer(texts, truncate=True))
        for texts in (corpus.captions, described)
    )
    data = {
        "mean": mean * scale,
        "std": std * scale,
        "read": read,
        "plain": plain,
        "figure": corpus.figures,
    }
    empty = states(tokenizer([""]))

    def loss(params: Any, batch: dict[str, Array], key: Key[Array, ""]) -> Array:
        time_key, noise_key, posterior_key, drop_key, caption_key = jax.random.split(key, 5)
        size = len(batch["mean"])
        posterior = jax.random.normal(posterior_key, batch["mean"].shape)
        latents = batch["mean"] + batch["std"] * posterior
        noise = jax.random.normal(noise_key, latents.shape)
        times = drawn_times(time_key, size)
        dropped = jax.random.bernoulli(drop_key, empty_captions, (size, 1, 1))
        plainly = jax.random.bernoulli(caption_key, 0.5, (size, 1, 1))
        told = jnp.where(plainly, batch["plain"], batch["read"])
        seen = jnp.where(dropped, empty, told).astype(jnp.float32)
        noisy = SCHEDULE.add_noise(latents, noise, times)
        predicted = unet.apply({"params": params}, noisy, times, seen)
        error = ((predicted - SCHEDULE.target(latents, noise, times)) ** 2).mean(-1)
        return mean_by_figure(min_snr_weight(times)[:, None, None] * error, batch["figure"])

    init_key, key = jax.random.split(jax.random.key(seed))
    first = jax.tree.map(lambda x: jnp.asarray(x[:1], jnp.float32), data)
    params = unet.init(init_key, first["mean"], jnp.zeros(1, int), first["read"])["params"]
    if start:
        params = start.unet_params(params)
    return fit("UNet", loss, params, data, plan, key, allowance), scale
