"""The residual attention block that CLIP's text tower and ViT share (arXiv 2103.00020, 2.4)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from common.attention import attend
from common.trees import Params

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "gelu": lambda x: nn.gelu(x, approximate=False),
    # OpenAI's weights need this one; with "gelu" their features are wrong by 7 %.
    "quick_gelu": lambda x: x * jax.nn.sigmoid(1.702 * x),
    # SigLIP's; its name is PyTorch's.
    "gelu_pytorch_tanh": lambda x: nn.gelu(x, approximate=True),
}


class LayerNorm(nn.Module):
    """Layer normalisation with float32 statistics, whatever the activations are."""

    eps: float
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "*batch d"]) -> Float[Array, "*batch d"]:
        """Normalise the last axis."""
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],))
        x = x.astype(jnp.float32)
        centred = x - x.mean(-1, keepdims=True)
        variance = jnp.square(centred).mean(-1, keepdims=True)
        return (centred * jax.lax.rsqrt(variance + self.eps) * scale + bias).astype(self.dtype)


class Attention(nn.Module):
    """Multi-head attention."""

    heads: int
    causal: bool
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "b s d"], seen: Float[Array, "b k d"] | None = None
    ) -> Float[Array, "b s d"]:
        """Attend from each position to all, or with `causal` to itself and those before it.

        Args:
          x: What asks.
          seen: What is attended to; by default `x` itself.
        """
        batch, _, width = x.shape
        seen = x if seen is None else seen
        query, key, value = (
            nn.Dense(width, dtype=self.dtype, name=name)(states).reshape(
                batch, -1, self.heads, width // self.heads
            )
            for name, states in (("query", x), ("key", seen), ("value", seen))
        )
        mixed = attend(query, key, value, causal=self.causal)
        return nn.Dense(width, dtype=self.dtype, name="out")(mixed.reshape(x.shape))


class Mlp(nn.Module):
    """Two linear maps with an activation between."""

    width: int
    activation: str
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b s d"]) -> Float[Array, "b s d"]:
        """Apply the same function at every position."""
        hidden = ACTIVATIONS[self.activation](nn.Dense(self.width, dtype=self.dtype, name="fc1")(x))
        return nn.Dense(x.shape[-1], dtype=self.dtype, name="fc2")(hidden)


def repeat_block(params: Params, layers: int) -> Params:
    """Return the parameters' shapes of a tower of many layers, given those of a single layer."""
    others = {name: shapes for name, shapes in params.items() if name != "block_0"}
    return others | {f"block_{layer}": params["block_0"] for layer in range(layers)}


class Block(nn.Module):
    """One pre-norm residual block: attention, then MLP.

    It stands alone, so that a method can run a tower block by block and change the sequence in
    between: `Block(...).apply({"params": params["block_3"]}, x)`.
    """

    heads: int
    mlp_width: int
    activation: str
    eps: float
    causal: bool
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b s d"]) -> Float[Array, "b s d"]:
        """Map the sequence to the next hidden state."""
        attention = Attention(self.heads, self.causal, self.dtype, name="attention")
        mlp = Mlp(self.mlp_width, self.activation, self.dtype, name="mlp")
        x = x + attention(LayerNorm(self.eps, self.dtype, name="norm1")(x))
        return x + mlp(LayerNorm(self.eps, self.dtype, name="norm2")(x))
