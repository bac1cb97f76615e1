"""The prompted text tower, plainly: every row, every position, every block.

This is the definition that `fast` is held to; it also encodes class names for evaluation.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from common.clip.encode import unit
from common.clip.text import TextTower


def prompted_features(
    tower: TextTower,
    params: PyTree,
    prompts: Float[Array, "j t d"],
    ids: Int[Array, "b s"],
    end: Int[Array, " b"],
    *,
    half: bool = False,
) -> Float[Array, "b p"]:
    """Return unit-length features of texts whose first t words give way to prompts (section 3.3).

    Those of the first block stand in for word embeddings, so they get their positions. Those of
    the blocks 1..j-1 replace what the block before made of them, and get none. From block j on
    the prompt positions flow through.

    Args:
      tower: CLIP's text tower.
      params: Its weights.
      prompts: j may be the number of blocks at most.
      ids: Tokens; where the tower is causal, columns behind every end may be cut off.
      end: Where a causal tower pools; others do where the weights imply.
      half: Round the prompts of the blocks 1..j-1 to float16 row by row, and so their
        gradients; the reference does by accident.
    """
    depth, length, width = prompts.shape
    first = tower.config.first
    pool_at = end if tower.config.causal else tower.pool_at(ids)

    def run(tower: TextTower) -> Array:
        slots = slice(first, first + length)
        x = tower.embed(ids).at[:, slots].set(prompts[0].astype(tower.dtype))
        x = tower.add_positions(x)
        for layer, block in enumerate(tower.block):
            if 1 <= layer < depth:
                rows = jnp.broadcast_to(prompts[layer], (len(ids), length, width))
                rows = rows.astype(jnp.float16) if half else rows
                x = x.at[:, slots].set(rows.astype(tower.dtype))
            x = block(x)
        return tower.finish((x,), pool_at).projected

    return unit(tower.apply({"params": params}, method=run))
