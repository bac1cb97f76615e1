"""The UNet's transformer: self-attention over pixels, cross-attention to the text."""

import flax.linen as nn
from jaxtyping import Array, Float

from common.diffusion.resnet import Execution, group_norm


class Attention(nn.Module):
    """Multi-head attention without biases on queries, keys and values."""

    heads: int
    run: Execution

    @nn.compact
    def __call__(
        self, x: Float[Array, "b q d"], context: Float[Array, "b k e"]
    ) -> Float[Array, "b q d"]:
        """Attend from `x` to `context` (to itself where that is `x`)."""
        width = x.shape[-1]

        def project(name: str, states: Array) -> Array:
            dense = nn.Dense(width, use_bias=False, dtype=self.run.dtype, name=name)
            return dense(states).reshape(*states.shape[:2], self.heads, width // self.heads)

        mixed = self.run.attend(
            project("query", x), project("key", context), project("value", context)
        )
        return nn.Dense(width, dtype=self.run.dtype, name="out")(mixed.reshape(x.shape))


class FeedForward(nn.Module):
    """Two linear maps with a gated GELU (GEGLU) between; four times wider inside."""

    run: Execution

    @nn.compact
    def __call__(self, x: Float[Array, "b s d"]) -> Float[Array, "b s d"]:
        """Apply the same map at every position."""
        width = x.shape[-1]
        hidden = nn.Dense(8 * width, dtype=self.run.dtype, name="in")(x)
        value, gate = hidden[..., : 4 * width], hidden[..., 4 * width :]
        hidden = value * nn.gelu(gate, approximate=False)
        return nn.Dense(width, dtype=self.run.dtype, name="out")(hidden)


class TransformerBlock(nn.Module):
    """Self-attention, cross-attention and feed-forward, each after a layer norm."""

    heads: int
    run: Execution

    @nn.compact
    def __call__(
        self, x: Float[Array, "b q d"], text_states: Float[Array, "b s e"]
    ) -> Float[Array, "b q d"]:
        """Return the sum of `x` and the three residuals."""

        def norm(name: str, states: Array) -> Array:
            # Flax's default epsilon is 1e-6; Stable Diffusion was trained with 1e-5.
            layer = nn.LayerNorm(
                epsilon=1e-5, dtype=self.run.dtype, use_fast_variance=False, name=name
            )
            return layer(states)

        normed = norm("norm1", x)
        x = x + Attention(self.heads, self.run, name="self_attention")(normed, normed)
        normed = norm("norm2", x)
        x = x + Attention(self.heads, self.run, name="cross_attention")(normed, text_states)
        return x + FeedForward(self.run, name="feed_forward")(norm("norm3", x))


class SpatialTransformer(nn.Module):
    """Transformer blocks over the pixels of a feature map, between two projections."""

    heads: int
    groups: int
    run: Execution
    depth: int = 1

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], text_states: Float[Array, "b s e"]
    ) -> Float[Array, "b h w c"]:
        """Return the map plus what the transformer adds to it."""
        batch, height, width, channels = x.shape
        hidden = group_norm(self.groups, 1e-6, self.run, "norm")(x)
        hidden = hidden.reshape(batch, height * width, channels)
        hidden = nn.Dense(channels, dtype=self.run.dtype, name="proj_in")(hidden)
        # A single block is recomputed with all of this; of several, each by itself.
        block = self.run.block(TransformerBlock) if self.depth > 1 else TransformerBlock
        for i in range(self.depth):
            name = f"block_{i}" if i else "block"
            hidden = block(self.heads, self.run, name=name)(hidden, text_states)
        hidden = nn.Dense(channels, dtype=self.run.dtype, name="proj_out")(hidden)
        return x + hidden.reshape(x.shape)
