"""The residual block of GPT-2 and GPT-J, with memory of the keys and values before it."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from common.clip.layers import LayerNorm
from common.language.config import LMConfig
from common.trees import Leaf

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "gelu_new": lambda x: nn.gelu(x, approximate=True),
    "gelu": lambda x: nn.gelu(x, approximate=False),
    "relu": nn.relu,
}
ROTARY_BASE = 10000.0


@struct.dataclass
class Memory:
    """Keys and values of one block; slots that are not filled yet hold zeros.

    Attributes:
      keys: `[b n h q]`.
      values: `[b n h q]`.
    """

    keys: Leaf
    values: Leaf


@struct.dataclass
class TokenPlaces:
    """Where the tokens of a sequence stand; the same for all blocks.

    Attributes:
      positions: Of each token in its text, `[b s]`.
      allowed: Which slots of the memory each token may look at, `[b s n]`.
      start: The slot of the first token, int32 scalar.
    """

    positions: Leaf
    allowed: Leaf
    start: Leaf


class Attention(nn.Module):
    """Multi-head self-attention over the memory and the sequence itself."""

    config: LMConfig
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "b s d"], place: TokenPlaces, memory: Memory
    ) -> tuple[Float[Array, "b s d"], Memory]:
        """Return the mixed values, and the memory with this sequence in it."""
        c = self.config

        def dense(name: str) -> nn.Dense:
            return nn.Dense(c.width, use_bias=c.attention_bias, dtype=self.dtype, name=name)

        def heads(name: str) -> Array:
            return dense(name)(x).reshape(*x.shape[:2], c.heads, c.head_width)

        query, key, value = (heads(name) for name in ("query", "key", "value"))
        if c.rotary:
            query, key = (rotate(part, place.positions, c.rotary) for part in (query, key))
        at = (0, place.start, 0, 0)
        memory = Memory(
            jax.lax.dynamic_update_slice(memory.keys, key.astype(memory.keys.dtype), at),
            jax.lax.dynamic_update_slice(memory.values, value.astype(memory.values.dtype), at),
        )
        mixed = _attend(query, memory, place.allowed)
        return dense("out")(mixed.reshape(x.shape)), memory


class Mlp(nn.Module):
    """Two linear maps with an activation between."""

    config: LMConfig
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b s d"]) -> Float[Array, "b s d"]:
        """Apply the same function at every position."""
        hidden = nn.Dense(self.config.mlp_width, dtype=self.dtype, name="fc1")(x)
        hidden = ACTIVATIONS[self.config.activation](hidden)
        return nn.Dense(self.config.width, dtype=self.dtype, name="fc2")(hidden)


class Block(nn.Module):
    """Attention, then MLP, each behind a layer norm; in GPT-J both behind the same one."""

    config: LMConfig
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "b s d"], place: TokenPlaces, memory: Memory
    ) -> tuple[Float[Array, "b s d"], Memory]:
        """Return the next hidden states, and the memory with this sequence in it."""
        c = self.config
        attention = Attention(c, self.dtype, name="attention")
        mlp = Mlp(c, self.dtype, name="mlp")
        normed = LayerNorm(c.eps, self.dtype, name="norm1")(x)
        mixed, memory = attention(normed, place, memory)
        if c.parallel:
            return x + mixed + mlp(normed), memory
        x = x + mixed
        return x + mlp(LayerNorm(c.eps, self.dtype, name="norm2")(x)), memory


def rotate(
    x: Float[Array, "b s h q"], positions: Int[Array, "b s"], channels: int
) -> Float[Array, "b s h q"]:
    """Rotate the first channels of each head, pair by pair, by angles that grow with the place.

    Neighbours form a pair, as in GPT-J (arXiv 2104.09864, 3.4.2).
    """
    rates = ROTARY_BASE ** (-jnp.arange(0, channels, 2, dtype=jnp.float32) / channels)
    angles = positions[:, :, None, None] * rates
    sin, cos = jnp.sin(angles).astype(x.dtype), jnp.cos(angles).astype(x.dtype)
    first, second = x[..., :channels:2], x[..., 1:channels:2]
    pairs = jnp.stack([first * cos - second * sin, second * cos + first * sin], axis=-1)
    turned = pairs.reshape(*x.shape[:-1], channels)
    return jnp.concatenate([turned, x[..., channels:]], axis=-1)


def _attend(
    query: Float[Array, "b s h q"], memory: Memory, allowed: Bool[Array, "b s n"]
) -> Float[Array, "b s h q"]:
    """Return scaled dot-product attention with the softmax in float32."""
    logits = jnp.einsum("bshq,bnhq->bhsn", query, memory.keys, preferred_element_type=jnp.float32)
    logits = logits * query.shape[-1] ** -0.5
    # Not infinite: the rows of padding see nothing at all, and must not become NaN.
    logits = jnp.where(allowed[:, None], logits, jnp.finfo(jnp.float32).min)
    weights = jax.nn.softmax(logits, axis=-1).astype(query.dtype)
    return jnp.einsum("bhsn,bnhq->bshq", weights, memory.values)
