"""Work outside training, row by row, spread over all devices of all processes."""

import functools
from collections.abc import Callable, Hashable
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import PyTree

from common.training.sharding import REPLICATED, place, to_host

Run = Callable[..., jax.Array]


def over_devices(
    run: Run,
    shared: PyTree,
    rows: PyTree,
    *,
    at_once: int | None = None,
    progress: Callable[[int], None] = lambda done: None,
    **options: Hashable,
) -> np.ndarray:
    """`run(shared, rows, **options)` with the rows dealt out to the devices, on every host.

    Each device runs the whole program on its own rows, so nothing is sent before the end, and no
    row may depend on another one. Missing rows are filled up with copies of the last one, which
    are dropped again.

    Args:
      run: Gives one array with the rows in front; the same function object in every call, or
        it is compiled anew.
      shared: What all rows read, the same on every host.
      rows: Arrays with the same number of rows in front, likewise.
      at_once: Rows at a time over all devices, rounded up to a multiple of them; by default all.
      progress: Told how many rows are done.
      **options: What `run` is compiled for.
    """
    mesh = _all_devices()
    count = len(jax.tree.leaves(rows)[0])
    size = min(at_once or count, count)
    size = -(-size // mesh.size) * mesh.size
    by_row = NamedSharding(mesh, P("rows"))
    found = []
    with jax.set_mesh(mesh):
        everywhere = NamedSharding(mesh, REPLICATED)
        shared = jax.tree.map(_movable, shared)
        shared = place(shared, jax.tree.map(lambda _: everywhere, shared))
        for start in range(0, count, size):
            chosen = np.minimum(np.arange(start, start + size), count - 1)
            taken = jax.tree.map(lambda leaf, own=chosen: np.asarray(leaf)[own], rows)
            taken = place(taken, jax.tree.map(lambda _: by_row, taken))
            found.append(to_host(_spread(run, mesh, tuple(options.items()), shared, taken)))
            progress(min(start + size, count))
    return np.concatenate(found)[:count]


def _movable(leaf: Any) -> Any:
    # What lies on other hosts' devices too is moved to another mesh by way of this host.
    addressable = not isinstance(leaf, jax.Array) or leaf.is_fully_addressable
    return leaf if addressable else np.asarray(leaf)


@functools.cache
def _all_devices() -> Mesh:
    return jax.make_mesh((jax.device_count(),), ("rows",), axis_types=(AxisType.Auto,))


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _spread(
    run: Run, mesh: Mesh, options: tuple[tuple[str, Any], ...], shared: PyTree, rows: PyTree
) -> jax.Array:
    own = functools.partial(run, **dict(options))
    return jax.shard_map(
        own, mesh=mesh, in_specs=(P(), P("rows")), out_specs=P("rows"), check_vma=False
    )(shared, rows)
