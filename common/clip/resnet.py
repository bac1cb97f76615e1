"""CLIP's ModifiedResNet (arXiv 2103.00020, 2.4; openai/CLIP, `ModifiedResNet`).

What it changes in a ResNet: a stem of three convolutions, average pools where others stride,
and attention instead of a mean at the end.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from common.attention import attend
from common.clip.config import ResNetConfig
from common.clip.outputs import ImageOutput, check_size

_EXPANSION = 4  # channels of a bottleneck's end over those inside


class FrozenBatchNorm(nn.Module):
    """Batch normalisation by stored statistics, computed in float32 or wider."""

    eps: float
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        """Normalise each channel."""
        wide = jnp.promote_types(jnp.float32, self.dtype)
        ones, zeros = nn.initializers.ones, nn.initializers.zeros
        started = {"scale": ones, "variance": ones, "bias": zeros, "mean": zeros}
        scale, variance, bias, mean = (
            jnp.asarray(self.param(name, init, x.shape[-1:]), wide)
            for name, init in started.items()
        )
        scale = scale * jax.lax.rsqrt(variance + self.eps)
        shift = bias - mean * scale
        return (x.astype(wide) * scale + shift).astype(self.dtype)


class ConvNorm(nn.Module):
    """A convolution without bias, batch norm, and by default a ReLU."""

    channels: int
    kernel: int
    eps: float
    stride: int = 1
    relu: bool = True
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 c2"]:
        """Map the feature map."""
        x = nn.Conv(
            self.channels,
            (self.kernel, self.kernel),
            strides=self.stride,
            # PyTorch's padding: the same on both sides also where the stride is 2.
            padding=self.kernel // 2,
            use_bias=False,
            dtype=self.dtype,
            name="conv",
        )(x)
        x = FrozenBatchNorm(self.eps, self.dtype, name="norm")(x)
        return nn.relu(x) if self.relu else x


class Bottleneck(nn.Module):
    """1x1, 3x3, average pool, 1x1, beside a shortcut."""

    channels: int
    stride: int
    eps: float
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 c2"]:
        """Map the feature map; `stride` divides its sides."""
        wide = self.channels * _EXPANSION
        last = {"kernel": 1, "eps": self.eps, "relu": False, "dtype": self.dtype}
        y = ConvNorm(self.channels, 1, self.eps, dtype=self.dtype, name="layer1")(x)
        y = ConvNorm(self.channels, 3, self.eps, dtype=self.dtype, name="layer2")(y)
        y = ConvNorm(wide, name="layer3", **last)(_pool(y, self.stride))
        if self.stride > 1 or x.shape[-1] != wide:
            x = ConvNorm(wide, name="shortcut", **last)(_pool(x, self.stride))
        return nn.relu(x + y)


class AttentionPool(nn.Module):
    """The mean cell attends to all cells and itself.

    Returns the heads' outputs before and after the last projection.
    """

    heads: int
    projection: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, grid: Float[Array, "b h w c"]
    ) -> tuple[Float[Array, "b c"], Float[Array, "b p"]]:
        """Pool a feature map."""
        batch, rows, columns, width = grid.shape
        cells = grid.reshape(batch, rows * columns, width)
        cells = jnp.concatenate([cells.mean(1, keepdims=True), cells], axis=1)
        normal = nn.initializers.normal(width**-0.5)
        positions = self.param("position_embedding", normal, cells.shape[1:])
        cells = (cells + positions).astype(self.dtype)

        def heads(name: str, x: Array) -> Array:
            projected = nn.Dense(width, dtype=self.dtype, name=name)(x)
            return projected.reshape(batch, -1, self.heads, width // self.heads)

        query = heads("query", cells[:, :1])
        pooled = attend(query, heads("key", cells), heads("value", cells)).reshape(batch, width)
        return pooled, nn.Dense(self.projection, dtype=self.dtype, name="out")(pooled)


class ModifiedResNet(nn.Module):
    """CLIP's ResNet; `ImageOutput.grid` is the map that the attention pool reads.

    Attributes:
      config: Sizes.
      dtype: Of the activations; batch norms and softmax compute in float32.
    """

    config: ResNetConfig
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, pixels: Float[Array, "b h w 3"]) -> ImageOutput:
        """Encode normalised images of the configured size.

        Raises:
          ValueError: The images have another size.
        """
        c = self.config
        check_size(pixels, c.image_size)
        x = pixels.astype(self.dtype)
        for n, (channels, stride) in enumerate(
            ((c.width // 2, 2), (c.width // 2, 1), (c.width, 1)), start=1
        ):
            x = ConvNorm(channels, 3, c.eps, stride, dtype=self.dtype, name=f"stem{n}")(x)
        states = [_pool(x, 2)]
        for stage, blocks in enumerate(c.layers, start=1):
            x = states[-1]
            for i in range(blocks):
                x = Bottleneck(
                    c.width * 2 ** (stage - 1),
                    stride=2 if stage > 1 and i == 0 else 1,
                    eps=c.eps,
                    dtype=self.dtype,
                    name=f"stage{stage}_block_{i}",
                )(x)
            states.append(x)
        pool = AttentionPool(c.heads, c.projection, self.dtype, name="pool")
        pooled, features = pool(states[-1])
        return ImageOutput(features, pooled, states[-1], tuple(states))


def _pool(x: Array, stride: int) -> Array:
    return nn.avg_pool(x, (stride, stride), (stride, stride)) if stride > 1 else x
