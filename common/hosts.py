"""Arrays of all devices, on every host."""

import jax
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import PyTree


def to_host(tree: PyTree) -> PyTree:
    """Return the whole of `tree` as numpy arrays on every host; small trees only."""

    def gather(leaf: jax.Array) -> np.ndarray:
        if leaf.is_fully_addressable or leaf.is_fully_replicated:
            return np.asarray(leaf)
        return multihost_utils.process_allgather(leaf, tiled=True)

    return jax.tree.map(gather, tree)
