"""The prompted text tower without waste: equal to `tower.prompted_features`, far fewer tokens.

A causal tower lets no position see a later one, so

- what start-of-text and the prompts become is the same for every class: their keys and values
  are computed once per block and shared (the state of start-of-text even is a constant);
- where the next block overwrites the prompts' outputs, only their keys and values matter;
- nothing behind end-of-text matters, and in the last block nothing but end-of-text itself asks.

What is left of each class, its own few tokens, lies packed in one row (see `packing`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int, PyTree

from common.clip.config import TextConfig
from common.clip.encode import unit
from common.clip.layers import LayerNorm, Mlp
from common.clip.text import TextTower, require_causal
from protext_jax.packing import BatchLayout


@jax.custom_vjp
def rearrange(
    x: Float[Array, "a *rest"], take: Int[Array, "*b"], back: Int[Array, " a"]
) -> Float[Array, "..."]:
    """Return `x[take]`, zero where `take` is too large; `back` is the inverse.

    With the inverse known, the gradient is a gather too, where autodiff would scatter.
    """
    return jnp.take(x, take, axis=0, mode="fill", fill_value=0)


def _rearrange_forward(x: Array, take: Array, back: Array) -> tuple[Array, tuple[Array, Array]]:
    return rearrange(x, take, back), (take, back)


def _rearrange_backward(indices: tuple[Array, Array], g: Array) -> tuple[Array, None, None]:
    take, back = indices
    flat = g.reshape(-1, *g.shape[take.ndim :])
    return jnp.take(flat, back, axis=0, mode="fill", fill_value=0), None, None


rearrange.defvjp(_rearrange_forward, _rearrange_backward)


@dataclass(frozen=True)
class BlockParts:
    """One block taken apart: `common.clip.layers.Block` on the same weights.

    Shapes have no batch: `x` is `[n d]`, heads are `[n h e]`.
    """

    config: TextConfig
    dtype: Any
    params: PyTree

    def norm1(self, x: Array) -> Array:
        """Return the norm in front of attention."""
        return LayerNorm(self.config.eps, self.dtype).apply({"params": self.params["norm1"]}, x)

    def heads(self, name: str, x: Array) -> Array:
        """Project to "query", "key" or "value", by heads."""
        return self._dense(name, x).reshape(len(x), self.config.heads, -1)

    def finish(self, x: Array, mixed: Array) -> Array:
        """Return the output projection, its residual, and the MLP."""
        c = self.config
        x = x + self._dense("out", mixed.reshape(x.shape))
        normed = LayerNorm(c.eps, self.dtype).apply({"params": self.params["norm2"]}, x)
        mlp = Mlp(c.mlp_width, c.activation, self.dtype)
        return x + mlp.apply({"params": self.params["mlp"]}, normed[None])[0]

    def _dense(self, name: str, x: Array) -> Array:
        dense = nn.Dense(self.config.width, dtype=self.dtype)
        return dense.apply({"params": self.params["attention"][name]}, x)


def blocks(tower: TextTower, params: PyTree) -> Iterator[BlockParts]:
    """Yield the tower's blocks in turn."""
    for layer in range(tower.config.layers):
        yield BlockParts(tower.config, tower.dtype, params[f"block_{layer}"])


def mix(
    query: Float[Array, "*u q h e"],
    parts: list[tuple[Array, Array, Array | None]],
) -> Float[Array, "*u q h e"]:
    """Return attention over several sets of keys at once, softmax in float32.

    Args:
      query: What asks.
      parts: (keys, values, mask) of each set; `[*u k h e]`, or `[k h e]` where all of u share
        them; the mask `[*u q k]` or None.
    """
    scale = query.shape[-1] ** -0.5

    def logits(key: Array, mask: Array | None) -> Array:
        products = jnp.einsum(
            "...qhe,...khe->...hqk", query, key, preferred_element_type=jnp.float32
        )
        products = products * scale
        return products if mask is None else jnp.where(mask[..., None, :, :], products, -jnp.inf)

    scores = jnp.concatenate([logits(key, mask) for key, _, mask in parts], axis=-1)
    weights = jax.nn.softmax(scores, axis=-1).astype(query.dtype)
    edges = [sum(p[0].shape[-3] for p in parts[:i]) for i in range(1, len(parts))]
    split = jnp.split(weights, edges, axis=-1)
    return sum(
        jnp.einsum("...hqk,...khe->...qhe", w, value)
        for w, (_, value, _) in zip(split, parts, strict=True)
    )


def start_states(tower: TextTower, params: PyTree) -> Float[Array, "blocks d"]:
    """Return the input of every block at start-of-text, which sees nothing but itself.

    Raises:
      UserError: The tower is not causal.
    """
    require_causal(tower.config, "a prefix that all classes share")

    def run(tower: TextTower) -> Array:
        ids = jnp.full((1, 1), tower.config.bos)
        return jnp.stack(tower(tower.embed(ids), jnp.zeros(1, int)).hidden_states[:-1])[:, 0, 0]

    return tower.apply({"params": params}, method=run)


def prefix_heads(
    tower: TextTower,
    params: PyTree,
    start: Float[Array, "blocks d"],
    prompts: Float[Array, "j t d"],
) -> list[tuple[Array, Array]]:
    """Return keys and values `[1+t h e]` of start-of-text and the prompts, block by block."""
    depth, length, _ = prompts.shape
    last = tower.config.layers - 1
    positions = jnp.asarray(params["position_embedding"])[1 : 1 + length]
    causal = jnp.arange(1 + length) <= jnp.arange(1, 1 + length)[:, None]
    heads, x = [], prompts[0] + positions
    for layer, block in enumerate(blocks(tower, params)):
        if 1 <= layer < depth:
            x = prompts[layer]
        x = x.astype(tower.dtype)
        normed = block.norm1(jnp.concatenate([start[layer][None], x]))
        key, value = block.heads("key", normed), block.heads("value", normed)
        heads.append((key, value))
        if depth - 1 <= layer < last:
            x = block.finish(x, mix(block.heads("query", normed[1:]), [(key, value, causal)]))
    return heads


def packed_features(
    tower: TextTower,
    params: PyTree,
    prompts: Float[Array, "j t d"],
    suffix: Float[Array, "total d"],
    start: Float[Array, "blocks d"],
    layout: BatchLayout,
) -> Float[Array, "u p"]:
    """Return unit-length features of the classes in `layout`; see `tower.prompted_features`.

    A slot without a class gets some finite unit vector.

    Args:
      tower: CLIP's text tower.
      params: Its weights; the token embeddings may be missing.
      prompts: As there.
      suffix: Embeddings of all classes' own tokens, with positions, in the tower's dtype.
      start: `start_states`.
      layout: Of one shard.
    """
    c = tower.config
    classes, longest = layout.place.shape
    nothing = jnp.iinfo(jnp.int32).max
    x = suffix[layout.tokens]
    causal = jnp.tril(jnp.ones((longest, longest), bool))
    reach = layout.place < nothing  # up to the class's own end
    last = c.layers - 1

    def spread(packed: Array) -> Array:
        return rearrange(packed, layout.place, layout.slot)

    prefix = prefix_heads(tower, params, start, prompts)
    for layer, block in enumerate(blocks(tower, params)):
        normed = block.norm1(x)
        key, value = (spread(block.heads(name, normed)) for name in ("key", "value"))
        shared = (*prefix[layer], None)
        if layer < last:
            query = spread(block.heads("query", normed))
            mixed = mix(query, [shared, (key, value, causal)])
            mixed = mixed.reshape(classes * longest, -1)
            x = block.finish(x, rearrange(mixed, layout.slot, layout.place.reshape(-1)))
        else:
            x, normed = (rearrange(y, layout.end, layout.ends) for y in (x, normed))
            query = block.heads("query", normed)[:, None]
            mixed = mix(query, [shared, (key, value, reach[:, None])])
            x = block.finish(x, mixed[:, 0].reshape(classes, -1))

    final = LayerNorm(c.eps, tower.dtype).apply({"params": params["final_norm"]}, x)
    projection = nn.Dense(c.projection, use_bias=False, dtype=tower.dtype)
    return unit(projection.apply({"params": params["projection"]}, final))
