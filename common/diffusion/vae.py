"""The autoencoder between pixels and latents; the counterpart of diffusers' `AutoencoderKL`."""

import flax.linen as nn
import flax.struct
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from common.diffusion.config import VAEConfig
from common.diffusion.resnet import (
    Downsample,
    Execution,
    ResnetBlock,
    Upsample,
    conv3x3,
    group_norm,
)

EPSILON = 1e-6


@flax.struct.dataclass
class Moments:
    """Mean and log variance of the Gaussian posterior over latents; not yet scaled."""

    mean: Float[Array, "b h w c"]
    logvar: Float[Array, "b h w c"]

    def sample(self, noise: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        """Return the latents that standard normal `noise` selects."""
        return self.mean + jnp.exp(0.5 * self.logvar) * noise


class MidAttention(nn.Module):
    """Single-head self-attention over the pixels of a feature map."""

    groups: int
    run: Execution

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        """Return the map plus what the attention adds to it."""
        batch, height, width, channels = x.shape
        normed = group_norm(self.groups, EPSILON, self.run, "norm")(x)
        normed = normed.reshape(batch, height * width, 1, channels)
        query, key, value = (
            nn.Dense(channels, dtype=self.run.dtype, name=name)(normed)
            for name in ("query", "key", "value")
        )
        mixed = self.run.attend(query, key, value).reshape(x.shape)
        return x + nn.Dense(channels, dtype=self.run.dtype, name="out")(mixed)


class MidBlock(nn.Module):
    """Self-attention between two residual blocks."""

    features: int
    groups: int
    run: Execution

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        """Return the map at the smallest size."""
        x = ResnetBlock(self.features, self.groups, EPSILON, self.run, name="resnet_0")(x)
        x = MidAttention(self.groups, self.run, name="attention")(x)
        return ResnetBlock(self.features, self.groups, EPSILON, self.run, name="resnet_1")(x)


class Encoder(nn.Module):
    """From pixels to the channels that the posterior is made of."""

    config: VAEConfig
    run: Execution

    @nn.compact
    def __call__(self, pixels: Float[Array, "b H W c"]) -> Float[Array, "b h w m"]:
        """Return mean and log variance, not yet mixed by the quantisation layer."""
        config, run = self.config, self.run
        widths, groups = config.block_out_channels, config.norm_num_groups
        x = conv3x3(widths[0], run, "conv_in")(pixels)
        for i, width in enumerate(widths):
            for j in range(config.layers_per_block):
                x = ResnetBlock(width, groups, EPSILON, run, name=f"down_{i}_resnet_{j}")(x)
            if i < len(widths) - 1:
                x = Downsample(width, (0, 1), run, name=f"down_{i}_downsample")(x)
        x = MidBlock(widths[-1], groups, run, name="mid")(x)
        x = nn.silu(group_norm(groups, EPSILON, run, "norm_out")(x))
        return conv3x3(2 * config.latent_channels, run, "conv_out")(x)


class Decoder(nn.Module):
    """From latents to pixels."""

    config: VAEConfig
    run: Execution

    @nn.compact
    def __call__(self, latents: Float[Array, "b h w c"]) -> Float[Array, "b H W p"]:
        """Return pixels, not clipped."""
        config, run = self.config, self.run
        widths, groups = config.block_out_channels[::-1], config.norm_num_groups
        x = conv3x3(widths[0], run, "conv_in")(latents)
        x = MidBlock(widths[0], groups, run, name="mid")(x)
        for i, width in enumerate(widths):
            for j in range(config.layers_per_block + 1):
                x = ResnetBlock(width, groups, EPSILON, run, name=f"up_{i}_resnet_{j}")(x)
            if i < len(widths) - 1:
                x = Upsample(width, run, name=f"up_{i}_upsample")(x)
        x = nn.silu(group_norm(groups, EPSILON, run, "norm_out")(x))
        return conv3x3(config.out_channels, run, "conv_out")(x)


class AutoencoderKL(nn.Module):
    """Variational autoencoder; `encode` and `decode` are its methods for `apply`.

    Neither applies `config.scaling_factor`: the caller does.

    Attributes:
      dtype: Of activations and matrix products; statistics and softmax stay float32.
      attention: A key of `common.attention.IMPLEMENTATIONS`.
    """

    config: VAEConfig
    dtype: DTypeLike = jnp.float32
    attention: str = "plain"

    def setup(self):
        """Declare both halves, so that `encode` and `decode` share one set of parameters."""
        config, run = self.config, Execution(self.computed, self.attention)
        self.encoder = Encoder(config, run)
        self.decoder = Decoder(config, run)
        self.quant = nn.Conv(2 * config.latent_channels, (1, 1), dtype=run.dtype)
        self.post_quant = nn.Conv(config.latent_channels, (1, 1), dtype=run.dtype)

    @property
    def computed(self) -> DTypeLike:
        """The dtype of the computations: float32 for float16 where that overflows."""
        narrow = jnp.dtype(self.dtype) == jnp.float16 and self.config.force_upcast
        return jnp.float32 if narrow else self.dtype

    def encode(self, pixels: Float[Array, "b H W c"]) -> Moments:
        """Return the posterior over latents of pixels in [-1, 1]; its log variance in [-30, 20]."""
        moments = self.quant(self.encoder(pixels.astype(self.computed))).astype(jnp.float32)
        mean, logvar = jnp.split(moments, 2, axis=-1)
        return Moments(mean, jnp.clip(logvar, -30.0, 20.0))

    def decode(self, latents: Float[Array, "b h w c"]) -> Float[Array, "b H W p"]:
        """Return pixels, about in [-1, 1] and not clipped, of latents that are not scaled."""
        latents = self.post_quant(latents.astype(self.computed))
        return self.decoder(latents).astype(jnp.float32)

    def __call__(self, pixels: Float[Array, "b H W c"]) -> Float[Array, "b H W p"]:
        """Decode the posterior's mean; `init` makes the parameters of both halves here."""
        return self.decode(self.encode(pixels).mean)
