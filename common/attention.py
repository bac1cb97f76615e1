"""Attention behind one function with named implementations."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def attend(
    query: Float[Array, "b q h d"],
    key: Float[Array, "b k h d"],
    value: Float[Array, "b k h d"],
    *,
    causal: bool = False,
    implementation: str = "plain",
) -> Float[Array, "b q h d"]:
    """Scaled dot-product attention, softmax in float32.

    Letters: b batch, q queries, k keys, h heads, d head width.

    Raises:
      KeyError: `implementation` is not a key of `IMPLEMENTATIONS`.
    """
    return IMPLEMENTATIONS[implementation](query, key, value, causal)


def _plain(query: Array, key: Array, value: Array, causal: bool) -> Array:
    scale = query.shape[-1] ** -0.5
    logits = jnp.einsum("bqhd,bkhd->bhqk", query, key, preferred_element_type=jnp.float32)
    logits = logits * scale
    if causal:
        mask = jnp.tril(jnp.ones(logits.shape[-2:], dtype=bool))
        logits = jnp.where(mask, logits, jnp.finfo(logits.dtype).min)
    weights = jax.nn.softmax(logits, axis=-1).astype(value.dtype)
    return jnp.einsum("bhqk,bkhd->bqhd", weights, value)


IMPLEMENTATIONS: dict[str, Callable[[Array, Array, Array, bool], Array]] = {"plain": _plain}
