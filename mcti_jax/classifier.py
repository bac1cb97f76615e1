"""Learned tokens as a classifier: K text features against an image feature."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from common.clip.encode import unit
from common.clip.text import TextTower
from mcti_jax.conditions import EmbeddedPrompts, read_prompts


@functools.partial(jax.jit, static_argnames="tower")
def prompt_features(
    tower: TextTower,
    params: PyTree,
    projection: Float[Array, "d p"],
    prompts: EmbeddedPrompts,
    tokens: Float[Array, "k n d"],
) -> Float[Array, "k t p"]:
    """Return the unit-length text feature of every class under every prompt.

    Causality makes the cut of `Prompts.cut` exact: nothing before the pooled position ever
    sees the padding.
    """

    def one_class(vectors: Array) -> Array:
        count = prompts.slot.size
        repeated = jnp.broadcast_to(vectors, (count, *vectors.shape))
        output = read_prompts(tower, params, prompts, jnp.arange(count), repeated)
        return unit(output.pooled.astype(jnp.float32) @ projection)

    return jax.lax.map(one_class, tokens)


def mean_over_prompts(features: Float[Array, "k t p"]) -> Float[Array, "k p"]:
    """Return one unit-length feature per class: the mean over prompts, renormalised."""
    return unit(features.mean(axis=1))


def predict(images: Float[Array, "b p"], classes: Float[Array, "k p"]) -> Array:
    """Return the class of the largest cosine, `[b]`."""
    return jnp.argmax(unit(images) @ classes.T, axis=-1)
