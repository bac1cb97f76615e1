"""CLIP's text tower (arXiv 2103.00020, 2.4); it takes embeddings, so prompts can be learned."""

import jax.numpy as jnp
from flax import linen as nn
from flax import struct
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int

from common.clip.config import TextConfig
from common.clip.layers import Block, LayerNorm
from common.errors import UserError
from common.trees import Leaf


@struct.dataclass
class TextOutput:
    """The output of the text tower.

    Attributes:
      last_hidden_state: Every position after the final layer norm, [b s d]; Stable Diffusion
        reads this one.
      hidden_states: The input of the first block and the output of each, layers + 1 of [b s d].
      pooled: `last_hidden_state` at the pooling position, [b d].
      projected: `pooled` in the space shared with images, [b p], not normalised; None for a
        tower without projection.
    """

    last_hidden_state: Leaf
    hidden_states: Leaf
    pooled: Leaf
    projected: Leaf


class TextTower(nn.Module):
    """The transformer over token embeddings, causal unless its configuration says otherwise.

    `__call__` is `add_positions`, then the blocks in turn, then `finish`; a method that changes
    the sequence between the blocks composes these itself.

    Attributes:
      config: Sizes.
      dtype: Of the activations; layer norms and softmax compute in float32.
      remat: Recompute each block in the backward pass instead of keeping its activations.
    """

    config: TextConfig
    dtype: DTypeLike = jnp.float32
    remat: bool = False

    def setup(self) -> None:
        """Name the parameters; the other methods follow in the order of computation."""
        c = self.config
        normal = nn.initializers.normal
        self.token_embedding = self.param("token_embedding", normal(0.02), (c.vocab_size, c.width))
        self.position_embedding = self.param(
            "position_embedding", normal(0.01), (c.positions, c.width)
        )
        block = nn.remat(Block) if self.remat else Block
        # linen names the entries of this list block_0, block_1, ...
        self.block = [
            block(c.heads, c.mlp_width, c.activation, c.eps, causal=c.causal, dtype=self.dtype)
            for _ in range(c.layers)
        ]
        self.final_norm = LayerNorm(c.eps, self.dtype)
        if c.projection is not None:
            self.projection = nn.Dense(c.projection, use_bias=c.projection_bias, dtype=self.dtype)

    def embed(self, ids: Int[Array, "b s"]) -> Float[Array, "b s d"]:
        """Return the tokens' rows of the embedding table, without positions."""
        return jnp.asarray(self.token_embedding)[ids].astype(self.dtype)

    def add_positions(self, embeddings: Float[Array, "b s d"]) -> Float[Array, "b s d"]:
        """Add the position embeddings 0 to s-1.

        Raises:
          ValueError: The sequence is longer than the tower's positions.
        """
        length = embeddings.shape[1]
        if length > self.config.positions:
            raise ValueError(
                f"a sequence of {length} exceeds the tower's {self.config.positions} positions"
            )
        return (embeddings + self.position_embedding[:length]).astype(self.dtype)

    def pool_at(self, ids: Int[Array, "b s"], how: str | None = None) -> Int[Array, " b"]:
        """Return the position to pool at in each row: `pool_positions`, as the weights imply."""
        return pool_positions(ids, how or self.config.pool, self.config.eos)

    def finish(
        self, hidden_states: tuple[Float[Array, "b s d"], ...], pool_at: Int[Array, " b"]
    ) -> TextOutput:
        """Apply the final layer norm, pooling and projection."""
        last = self.final_norm(hidden_states[-1])
        pooled = jnp.take_along_axis(last, pool_at[:, None, None], axis=1)[:, 0]
        projected = self.projection(pooled) if self.config.projection is not None else None
        return TextOutput(last, hidden_states, pooled, projected)

    def __call__(self, embeddings: Float[Array, "b s d"], pool_at: Int[Array, " b"]) -> TextOutput:
        """Encode token embeddings (see `embed`).

        Of a causal tower a batch may be cut after its last pooling position: everything before
        stays the same. Who relies on this calls `require_causal`.

        Args:
          embeddings: Without positions; any length up to the tower's positions.
          pool_at: The position to pool at, e.g. from `pool_positions`.

        Raises:
          ValueError: The sequence is longer than the tower's positions.
        """
        states = [self.add_positions(embeddings)]
        for block in self.block:
            states.append(block(states[-1]))
        return self.finish(tuple(states), pool_at)


def require_causal(config: TextConfig, what: str) -> None:
    """Refuse a text tower whose positions see later ones.

    Args:
      config: The tower's.
      what: Relies on the tower being causal, e.g. "ProText's shared prefix".

    Raises:
      UserError: The tower is not causal.
    """
    if not config.causal:
        raise UserError(
            f"{what} needs a causal text tower, and in this model's every token sees all others: "
            "choose a CLIP."
        )


def pool_positions(ids: Int[Array, "b s"], how: str, eos: int) -> Int[Array, " b"]:
    """Return the position to pool at in each row of token ids.

    Args:
      ids: Token ids.
      how: "eos" for the first end-of-text token, CLIP's definition; "argmax" for the first
        largest id, which is the same until ids above `eos` are added to the vocabulary: from
        then on it is the added token's own position; "last" for the last column, padding or not,
        as SigLIP does.
      eos: The id of the end-of-text token.

    Raises:
      ValueError: `how` is neither.
    """
    if how == "eos":
        return jnp.argmax(ids == eos, axis=-1)
    if how == "argmax":
        return jnp.argmax(ids, axis=-1)
    if how == "last":
        return jnp.full(len(ids), ids.shape[-1] - 1)
    raise ValueError(f"pooling {how!r} is neither 'eos', 'argmax' nor 'last'")
