"""Cosines of images with classifiers that differ from image to image: `cos(x, w_c(x))`.

`direct_cosines` is the definition: an array of batch x classes x width. `factored_cosines` gives
the same numbers from arrays of batch x classes x hidden, because numerator and norm of the
bottleneck's output are a bilinear and a quadratic form in its hidden units.
"""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PyTree

from aape_jax.core.projection import ACTIVATIONS, Projection
from aape_jax.core.unit import EPS, unit

CLASSES_AT_ONCE = 32


@flax.struct.dataclass
class Factors:
    """What depends on the classes alone, so that serving computes it once.

    Attributes:
      w: Class features, `[k p]`.
      hidden: Their share of the hidden units, `A w`, `[k r]`.
      overlap: `W2^T w`, `[k r]`.
      gram: `W2^T W2`, `[r r]`.
      length: `|w|^2`, `[k]`.
    """

    w: Any
    hidden: Any
    overlap: Any
    gram: Any
    length: Any


def factors(params: PyTree, w: Float[Array, "k p"]) -> Factors:
    """Return the factors of `w` under a bottleneck projection."""
    up = params["up"]
    return Factors(w, w @ params["from_class"], w @ up.T, up @ up.T, jnp.sum(w * w, axis=-1))


def factored_cosines(
    projection: Projection,
    params: PyTree,
    classes: Factors,
    x: Float[Array, "b p"],
    h: Float[Array, "b p"],
) -> Float[Array, "b k"]:
    """Return the cosines without an array of batch x classes x width.

    With z the hidden units, w' = keep w + a W2 z:
      x.w' = keep x.w + a (W2^T x).z  and
      |w'|^2 = keep^2 |w|^2 + 2 keep a (W2^T w).z + a^2 z^T (W2^T W2) z.
    """
    keep, alpha = projection.keep, projection.residual_alpha
    act = ACTIVATIONS[projection.activation]
    z = act(classes.hidden[None] + (h @ params["from_prompt"])[:, None])
    dot = keep * (x @ classes.w.T) + alpha * jnp.einsum("br,bkr->bk", x @ params["up"].T, z)
    square = (
        keep**2 * classes.length
        + 2 * keep * alpha * jnp.einsum("kr,bkr->bk", classes.overlap, z)
        + alpha**2 * jnp.einsum("bkr,rs,bks->bk", z, classes.gram, z)
    )
    return dot * lax.rsqrt(jnp.maximum(square, EPS))


def direct_cosines(
    projection: Projection,
    params: PyTree,
    w: Float[Array, "k p"],
    x: Float[Array, "b p"],
    h: Float[Array, "b p"],
) -> Float[Array, "b k"]:
    """Return the cosines as they are defined."""
    weights = projection(params, w[None], h[:, None])
    return jnp.einsum("bp,bkp->bk", unit(x), unit(weights))


def chunked_cosines(
    projection: Projection,
    params: PyTree,
    w: Float[Array, "k p"],
    x: Float[Array, "b p"],
    h: Float[Array, "b p"],
) -> Float[Array, "b k"]:
    """Return `direct_cosines`, some classes at a time: for projections that do not factor."""

    @jax.checkpoint
    def one_class(feature: Array) -> Array:
        return direct_cosines(projection, params, feature[None], x, h)[:, 0]

    return lax.map(one_class, w, batch_size=CLASSES_AT_ONCE).T


def cosines(
    projection: Projection,
    params: PyTree,
    w: Float[Array, "k p"],
    x: Float[Array, "b p"],
    h: Float[Array, "b p"],
) -> Float[Array, "b k"]:
    """Return `cos(x, w_c(x))` in the cheapest form that the projection allows."""
    if projection.factored:
        return factored_cosines(projection, params, factors(params, w), x, h)
    return chunked_cosines(projection, params, w, x, h)
