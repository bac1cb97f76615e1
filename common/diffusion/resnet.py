"""Convolutional blocks that the UNet and the autoencoder share; NHWC inside."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from common.attention import attend
from common.choices import check_choice

REMAT = ("none", "attention", "block")


@dataclass(frozen=True)
class Execution:
    """How a network runs, which never changes what it computes (up to rounding).

    Attributes:
      dtype: Of activations and matrix products; statistics and softmax stay float32.
      attention: A key of `common.attention.IMPLEMENTATIONS`.
      remat: What the backward pass recomputes instead of keeping: "none", "attention" (only
        the attention probabilities) or "block" (whole residual and transformer blocks).
    """

    dtype: DTypeLike = jnp.float32
    attention: str = "plain"
    remat: str = "none"

    def __post_init__(self):
        check_choice("remat", self.remat, REMAT)

    def attend(
        self,
        query: Float[Array, "b q h d"],
        key: Float[Array, "b k h d"],
        value: Float[Array, "b k h d"],
    ) -> Float[Array, "b q h d"]:
        """Attend by the chosen implementation, recomputed backwards if so chosen."""
        attention = partial(attend, implementation=self.attention)
        if self.remat == "attention":
            attention = jax.checkpoint(attention)
        return attention(query, key, value)

    def block(self, module: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
        """Return the module class, made to recompute its inside backwards if so chosen."""
        return nn.remat(module) if self.remat == "block" else module


def group_norm(groups: int, epsilon: float, run: Execution, name: str) -> nn.GroupNorm:
    """Return group normalisation with float32 statistics, by the accurate two-pass variance."""
    return nn.GroupNorm(
        groups, epsilon=epsilon, dtype=run.dtype, use_fast_variance=False, name=name
    )


def conv3x3(features: int, run: Execution, name: str) -> nn.Conv:
    """Return a 3x3 convolution that keeps the size."""
    return nn.Conv(features, (3, 3), padding=1, dtype=run.dtype, name=name)


class ResnetBlock(nn.Module):
    """Norm, SiLU, convolution, twice; the time embedding, if any, is added between."""

    features: int
    groups: int
    epsilon: float
    run: Execution

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], time: Float[Array, "b t"] | None = None
    ) -> Float[Array, "b h w f"]:
        """Return the block's sum of shortcut and residual."""
        residual = nn.silu(group_norm(self.groups, self.epsilon, self.run, "norm1")(x))
        residual = conv3x3(self.features, self.run, "conv1")(residual)
        if time is not None:
            shift = nn.Dense(self.features, dtype=self.run.dtype, name="time")(nn.silu(time))
            residual = residual + shift[:, None, None, :]
        residual = nn.silu(group_norm(self.groups, self.epsilon, self.run, "norm2")(residual))
        residual = conv3x3(self.features, self.run, "conv2")(residual)
        if x.shape[-1] != self.features:
            x = nn.Conv(self.features, (1, 1), dtype=self.run.dtype, name="shortcut")(x)
        return x + residual


class Downsample(nn.Module):
    """Halves height and width by a strided convolution.

    Attributes:
      padding: Before and after each side: (1, 1) in the UNet, (0, 1) in the autoencoder.
    """

    features: int
    padding: tuple[int, int]
    run: Execution

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 f"]:
        """Return the map at half size."""
        return nn.Conv(
            self.features,
            (3, 3),
            strides=2,
            padding=(self.padding, self.padding),
            dtype=self.run.dtype,
            name="conv",
        )(x)


class Upsample(nn.Module):
    """Doubles height and width by repeating pixels, then convolves.

    A map whose sides were odd before they were halved comes back one pixel larger; `size` says what
    it was.
    """

    features: int
    run: Execution

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], size: tuple[int, int] | None = None
    ) -> Float[Array, "b h2 w2 f"]:
        """Return the map at double size, or cut to `size` before the convolution."""
        x = jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)
        if size is not None:
            x = x[:, : size[0], : size[1]]
        return conv3x3(self.features, self.run, "conv")(x)
