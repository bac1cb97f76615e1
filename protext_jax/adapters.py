"""Maps behind the text tower instead of prompts inside it: the paper's ablation (table 9).

The reference does not hold them; both start as the identity, so that training starts from CLIP.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

MAPPINGS = ("prompts", "linear", "mlp")


def initial_adapter(key: Array, mapping: str, width: int) -> PyTree:
    """The weights of a "linear" map, or of an "mlp" with a residual."""
    bias = jnp.zeros(width)
    if mapping == "linear":
        return {"kernel": jnp.eye(width), "bias": bias}
    first = jax.random.normal(key, (width, width)) / jnp.sqrt(width)
    return {
        "first": {"kernel": first, "bias": bias},
        "second": {"kernel": jnp.zeros((width, width)), "bias": bias},
    }


def adapted(adapter: PyTree, features: Float[Array, "b p"]) -> Float[Array, "b p"]:
    """What the map makes of unit features."""
    if "kernel" in adapter:
        return features @ adapter["kernel"] + adapter["bias"]
    hidden = jax.nn.relu(features @ adapter["first"]["kernel"] + adapter["first"]["bias"])
    return features + hidden @ adapter["second"]["kernel"] + adapter["second"]["bias"]
