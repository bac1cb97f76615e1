"""Our default form: the image chooses among the prompts and cannot leave them."""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key, PyTree

from aape_jax.core.aggregators.attention import by_head, check_heads, convex, masked_softmax
from aape_jax.core.aggregators.types import AggregatorInput, AggregatorOutput


@dataclass(frozen=True)
class AnchoredAttention:
    """Softmax weights from image-prompt similarity over the raw prompts: a convex mix.

    The result cannot leave the prompts' hull, so the reward can only re-weight prompts. At
    step 0 the weights are CLIP's own softmax at scale `init_scale`.
    """

    outputs: int
    heads: int
    init_scale: float

    def init(self, key: Key[Array, ""], width: int, tokens: int) -> PyTree:
        """Start W_x at the identity and W_p at zero; several outputs start apart."""
        del tokens
        check_heads(self.heads, width)
        shape = (self.outputs, width, width)
        apart = 0.0 if self.outputs == 1 else 0.02
        return {
            "from_image": jnp.eye(width) + apart * jax.random.normal(key, shape),
            "from_mean": jnp.zeros(shape),
            "log_scale": jnp.full((), math.log(self.init_scale)),
        }

    def __call__(
        self, params: PyTree, inputs: AggregatorInput, key: Key[Array, ""]
    ) -> AggregatorOutput:
        """Aggregate with the query `W_x x + W_p pbar`; heads are averaged."""
        del key
        query = jnp.einsum("bp,mpq->bmq", inputs.x, params["from_image"])
        query += jnp.einsum("bp,mpq->bmq", inputs.mean, params["from_mean"])
        logits = jnp.exp(params["log_scale"]) * by_head(query, inputs.prompts, self.heads)
        weights = masked_softmax(logits, inputs.mask[:, None, None]).mean(axis=1)
        return convex(weights, inputs.prompts)
