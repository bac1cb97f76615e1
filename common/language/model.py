"""GPT-2 and GPT-J as one Flax module; it takes embeddings, so that images can stand before text."""

import jax.numpy as jnp
from flax import linen as nn
from flax import struct
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from common.clip.layers import LayerNorm
from common.language.config import LMConfig
from common.language.layers import Block, Memory, TokenPlaces
from common.trees import Leaf


@struct.dataclass
class Cache:
    """What was read so far.

    Attributes:
      blocks: The memory of each block.
      valid: Which slots hold a token, `[b n]`.
      filled: How many slots are used, padding included; int32 scalar.
    """

    blocks: tuple[Memory, ...]
    valid: Leaf
    filled: Leaf


class LanguageModel(nn.Module):
    """The causal transformer over token embeddings.

    Attributes:
      config: Sizes and form.
      dtype: Of the activations; layer norms and softmax compute in float32.
      remat: Recompute each block in the backward pass instead of keeping its activations.
    """

    config: LMConfig
    dtype: DTypeLike = jnp.float32
    remat: bool = False

    def setup(self) -> None:
        """Name the parameters."""
        c = self.config
        normal = nn.initializers.normal(0.02)
        self.token_embedding = self.param("token_embedding", normal, (c.vocab_size, c.width))
        if not c.rotary:
            shape = (c.positions, c.width)
            self.position_embedding = self.param("position_embedding", normal, shape)
        block = nn.remat(Block) if self.remat else Block
        # linen names the entries of this list block_0, block_1, ...
        self.block = [block(c, self.dtype) for _ in range(c.layers)]
        self.final_norm = LayerNorm(c.eps, self.dtype)
        if not c.tied:
            self.head = nn.Dense(c.vocab_size, dtype=self.dtype)

    def embed(self, ids: Int[Array, "*b s"]) -> Float[Array, "*b s d"]:
        """Return the tokens' rows of the embedding table, without positions."""
        return jnp.asarray(self.token_embedding)[ids].astype(self.dtype)

    def __call__(
        self,
        embeddings: Float[Array, "b s d"],
        mask: Bool[Array, "b s"] | None = None,
        cache: Cache | None = None,
    ) -> tuple[Float[Array, "b s d"], Cache]:
        """Read a sequence behind what a cache holds.

        Args:
          embeddings: Of tokens or of anything that stands in their place; see `embed`.
          mask: False for padding, which may stand anywhere: it has no position, nothing looks
            at it, and its own hidden states mean nothing.
          cache: From `empty_cache` or an earlier call; with room for the sequence.

        Returns:
          The hidden states after the final layer norm, and the cache with the sequence in it.
        """
        batch, length, _ = embeddings.shape
        mask = jnp.ones((batch, length), bool) if mask is None else mask
        if cache is None:
            cache = empty_cache(self.config, batch, length, self.dtype)
        place, valid = _place(cache, mask)
        x = embeddings
        if not self.config.rotary:
            x = x + jnp.asarray(self.position_embedding)[place.positions]
        x, blocks = x.astype(self.dtype), []
        for block, memory in zip(self.block, cache.blocks, strict=True):
            x, memory = block(x, place, memory)
            blocks.append(memory)
        return self.final_norm(x), Cache(tuple(blocks), valid, cache.filled + length)

    def logits(self, hidden: Float[Array, "*b d"]) -> Float[Array, "*b v"]:
        """Return the logits of the next token, in float32, of the given hidden states."""
        if self.config.tied:
            table = jnp.asarray(self.token_embedding).astype(self.dtype)
            return jnp.einsum("...d,vd->...v", hidden, table, preferred_element_type=jnp.float32)
        return self.head(hidden).astype(jnp.float32)


def empty_cache(config: LMConfig, batch: int, slots: int, dtype: DTypeLike = jnp.float32) -> Cache:
    """Return a cache with room for `slots` tokens in each row.

    Raises:
      ValueError: The model has fewer positions.
    """
    if slots > config.positions:
        raise ValueError(f"{slots} tokens exceed the model's {config.positions} positions")
    zeros = jnp.zeros((batch, slots, config.heads, config.head_width), dtype)
    blocks = (Memory(zeros, zeros),) * config.layers
    return Cache(blocks, jnp.zeros((batch, slots), bool), jnp.zeros((), jnp.int32))


def _place(cache: Cache, mask: Bool[Array, "b s"]) -> tuple[TokenPlaces, Bool[Array, "b n"]]:
    """Return the places of the new tokens, and which slots hold tokens once they are there."""
    slots = jnp.arange(cache.valid.shape[1])
    inside = slots - cache.filled
    new = (inside >= 0) & (inside < mask.shape[1])
    spread = jnp.take(mask, jnp.clip(inside, 0, mask.shape[1] - 1), axis=1)
    valid = jnp.where(new, spread, cache.valid)
    before = cache.valid.sum(axis=1, keepdims=True)
    positions = jnp.maximum(before + jnp.cumsum(mask, axis=1) - 1, 0)
    last = cache.filled + jnp.arange(mask.shape[1])
    allowed = valid[:, None] & (slots <= last[:, None])
    return TokenPlaces(positions, allowed, cache.filled), valid
