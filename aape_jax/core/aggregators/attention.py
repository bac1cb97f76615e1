"""Pieces that the attending forms share."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from aape_jax.core.aggregators.types import AggregatorOutput
from aape_jax.core.unit import unit
from common.errors import UserError


def masked_softmax(
    logits: Float[Array, "*b n"], mask: Bool[Array, "*#b n"]
) -> Float[Array, "*b n"]:
    """Return softmax over the prompts that there are; padding gets exactly zero."""
    return jax.nn.softmax(jnp.where(mask, logits, -jnp.inf), axis=-1)


def by_head(
    query: Float[Array, "b m p"], keys: Float[Array, "b n p"], heads: int
) -> Float[Array, "b h m n"]:
    """Return the products of queries and keys, each head's own share of the width."""
    query, keys = (x.reshape(*x.shape[:2], heads, -1) for x in (query, keys))
    return jnp.einsum("bmhq,bnhq->bhmn", query, keys)


def convex(weights: Float[Array, "b m n"], prompts: Float[Array, "b n p"]) -> AggregatorOutput:
    """Return a mix of the prompts themselves, brought back to unit length."""
    return AggregatorOutput(unit(jnp.einsum("bmn,bnp->bmp", weights, prompts)), weights)


def check_heads(heads: int, width: int) -> None:
    """Refuse a number of heads that cannot share the width.

    Raises:
      UserError: It does not divide the width.
    """
    if width % heads:
        raise UserError(f"aggregator.heads={heads} does not divide the joint width {width}.")
