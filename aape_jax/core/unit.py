"""Small operations on features that every part uses."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

EPS = 1e-12


def unit(x: Float[Array, "*b p"]) -> Float[Array, "*b p"]:
    """Scale each row to unit length; a row of zeros stays so, with zero gradient."""
    # Unlike `common.clip.encode.unit`, which takes no zeros: a class may have no prompt.
    return x * lax.rsqrt(jnp.maximum(jnp.sum(x * x, axis=-1, keepdims=True), EPS))


def cosine(x: Float[Array, "*#b p"], y: Float[Array, "*#b p"]) -> Float[Array, "*b"]:
    """Return the cosine of each pair of rows."""
    return jnp.sum(unit(x) * unit(y), axis=-1)


def masked_mean(prompts: Float[Array, "*b n p"], mask: Bool[Array, "*b n"]) -> Float[Array, "*b p"]:
    """Return pbar: the mean of the prompts that there are, not renormalised."""
    total = jnp.sum(jnp.where(mask[..., None], prompts, 0), axis=-2)
    return total / mask.sum(axis=-1, keepdims=True)
