"""One level of the UNet on its way down, at the bottom, and on its way up."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from common.diffusion.resnet import Downsample, Execution, ResnetBlock, Upsample
from common.diffusion.transformer import SpatialTransformer

EPSILON = 1e-5


class UNetLevel(nn.Module):
    """The blocks that the three kinds of level share.

    Attributes:
      heads: Attention heads; 0 for a level without transformers.
      depth: Blocks of each transformer.
    """

    features: int
    heads: int
    groups: int
    run: Execution
    depth: int

    def resnet(self, index: int, x: Array, time: Array) -> Array:
        """Apply the residual block number `index`."""
        block = self.run.block(ResnetBlock)
        name = f"resnet_{index}"
        return block(self.features, self.groups, EPSILON, self.run, name=name)(x, time)

    def transformer(self, index: int, x: Array, text_states: Array) -> Array:
        """Apply the transformer number `index`, if the level has any."""
        if not self.heads:
            return x
        block = self.run.block(SpatialTransformer) if self.depth == 1 else SpatialTransformer
        name = f"transformer_{index}"
        return block(self.heads, self.groups, self.run, self.depth, name=name)(x, text_states)


class DownLevel(UNetLevel):
    """Residual blocks, each with its transformer, then (unless it is the last) half the size."""

    layers: int
    resample: bool

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b h w c"],
        time: Float[Array, "b t"],
        text_states: Float[Array, "b s d"],
    ) -> list[Array]:
        """Return every map that the way up reads again; the last one goes on down."""
        maps = []
        for i in range(self.layers):
            x = self.resnet(i, x, time)
            x = self.transformer(i, x, text_states)
            maps.append(x)
        if self.resample:
            x = Downsample(self.features, (1, 1), self.run, name="downsample")(x)
            maps.append(x)
        return maps


class MidLevel(UNetLevel):
    """A transformer between two residual blocks."""

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b h w c"],
        time: Float[Array, "b t"],
        text_states: Float[Array, "b s d"],
    ) -> Float[Array, "b h w c"]:
        """Return the map at the bottom of the UNet."""
        x = self.resnet(0, x, time)
        x = self.transformer(0, x, text_states)
        return self.resnet(1, x, time)


class UpLevel(UNetLevel):
    """A residual block for each map of the way down, then (unless it is the last) double size."""

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b h w c"],
        skips: list[Array],
        time: Float[Array, "b t"],
        text_states: Float[Array, "b s d"],
        size: tuple[int, int] | None,
    ) -> Float[Array, "b h2 w2 f"]:
        """Take in `skips`, the newest first; `size` is the next level's, None at the last."""
        for i, skip in enumerate(reversed(skips)):
            x = jnp.concatenate([x, skip], axis=-1)
            x = self.resnet(i, x, time)
            x = self.transformer(i, x, text_states)
        if size is not None:
            x = Upsample(self.features, self.run, name="upsample")(x, size)
        return x
