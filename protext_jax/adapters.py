"""Maps behind the text tower instead of prompts inside it: the paper's ablation (table 9).

The reference does not hold them; both start as the identity, so that training starts from CLIP.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from common.training.sharding import by_path

MAPPINGS = ("prompts", "linear", "mlp")


def initial_adapter(key: Array, mapping: str, width: int) -> PyTree:
    """Return the weights of a "linear" map, or of an "mlp" with a residual."""
    bias = jnp.zeros(width)
    if mapping == "linear":
        return {"kernel": jnp.eye(width), "bias": bias}
    first = jax.random.normal(key, (width, width)) / jnp.sqrt(width)
    return {
        "first": {"kernel": first, "bias": bias},
        "second": {"kernel": jnp.zeros((width, width)), "bias": bias},
    }


def adapter_shapes(mapping: str, width: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of an adapter's weights by path."""
    adapter = jax.eval_shape(lambda key: initial_adapter(key, mapping, width), jax.random.key(0))
    return {path: leaf.shape for path, leaf in by_path(adapter).items()}


def adapted(adapter: PyTree, features: Float[Array, "b p"]) -> Float[Array, "b p"]:
    """Apply the map to unit features."""
    if "kernel" in adapter:
        return features @ adapter["kernel"] + adapter["bias"]
    hidden = jax.nn.relu(features @ adapter["first"]["kernel"] + adapter["first"]["bias"])
    return features + hidden @ adapter["second"]["kernel"] + adapter["second"]["bias"]
