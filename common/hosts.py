"""Arrays of all devices, on every host, and how they get there."""

from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import PyTree

REPLICATED = PartitionSpec()


def to_host(tree: PyTree) -> PyTree:
    """Return the whole of `tree` as numpy arrays on every host; small trees only."""

    def gather(leaf: jax.Array) -> np.ndarray:
        if leaf.is_fully_addressable or leaf.is_fully_replicated:
            return np.asarray(leaf)
        return multihost_utils.process_allgather(leaf, tiled=True)

    return jax.tree.map(gather, tree)


def same_everywhere(*numbers: int) -> bool:
    """Return whether every process of a cluster gives these numbers; all of them have to ask.

    Where no cluster was joined, no device is touched.
    """
    if not jax.distributed.is_initialized() or jax.process_count() == 1:
        return True
    given = multihost_utils.process_allgather(np.array(numbers, np.int32))
    return bool((given == given[0]).all())


def place(tree: PyTree, shardings: PyTree) -> PyTree:
    """Move `tree` to the devices: every host holds the same values and gives its slices."""
    return jax.tree.map(_place_leaf, tree, shardings)


def _place_leaf(leaf: Any, sharding: NamedSharding) -> jax.Array:
    # Data that only this host holds go to other hosts' devices through numpy.
    crosses_hosts = not sharding.is_fully_addressable
    if isinstance(leaf, jax.Array) and not (crosses_hosts and leaf.is_fully_addressable):
        return jax.device_put(leaf, sharding)
    host = np.asarray(leaf)
    return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])
