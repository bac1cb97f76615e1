"""AAPE after training: image features in, classes out; no prompt, no aggregator."""

import functools
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from aape_jax.core.head import Head
from aape_jax.core.logits import factored_cosines, factors
from aape_jax.core.unit import unit
from common.errors import UserError


@functools.partial(jax.jit, static_argnames="head")
def predict(
    params: PyTree, x: Float[Array, "b p"], w: Float[Array, "k p"], head: Head
) -> Int[Array, "b"]:
    """Return the class of each image.

    Args:
      params: Of `head`: h, and g where there is one.
      x: Image features, normalised or not.
      w: Class features, likewise; classes that training never saw need nothing else.
      head: The form of h and g.
    """
    return jnp.argmax(head.logits(params, unit(x), unit(w)), axis=-1)


@flax.struct.dataclass
class FactoredClassifier:
    """Parameters, and what they make of a fixed set of classes."""

    params: Any
    classes: Any
    head: Head = flax.struct.field(pytree_node=False)


def serve(params: PyTree, w: Float[Array, "k p"], head: Head) -> FactoredClassifier:
    """Compute once what does not depend on the image.

    Raises:
      UserError: The head's logits do not factor.
    """
    if not (head.mode == "template_and_aape" and head.projection.factored):
        g = head.projection
        raise UserError(
            f"classifier.mode={head.mode}, projection.kind={g.kind}, projection.out_relu="
            f"{g.out_relu}: these logits do not factor, so ask predict instead of serve."
        )
    return FactoredClassifier(params, factors(params["projection"], unit(w)), head)


@jax.jit
def answer(served: FactoredClassifier, x: Float[Array, "b p"]) -> Int[Array, "b"]:
    """Predict as `predict`, at the cost of a few small products per image."""
    head, params = served.head, served.params
    x = unit(x)
    h = head.generator(params["generator"], x)
    scores = factored_cosines(head.projection, params["projection"], served.classes, x, h)
    return jnp.argmax(scores, axis=-1)
