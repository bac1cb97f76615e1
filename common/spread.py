"""Work outside training, row by row, spread over all devices of all processes."""

import functools
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Int, PyTree

from common.hosts import REPLICATED, place, to_host

Run = Callable[..., PyTree]


def over_devices(
    run: Run,
    shared: PyTree,
    rows: PyTree,
    *,
    at_once: int | None = None,
    progress: Callable[[int], None] = lambda done: None,
    **options: Hashable,
) -> PyTree:
    """Call `run(shared, rows, **options)` with the rows dealt out to the devices, on every host.

    Each device runs the whole program on its own rows, so nothing is sent before the end, and no
    row may depend on another one. Missing rows are filled up with copies of the last one, which
    are dropped again.

    Args:
      run: Gives arrays with the rows in front; the same function object in every call, or
        it is compiled anew.
      shared: What all rows read, the same on every host.
      rows: Arrays with the same number of rows in front, likewise.
      at_once: Rows at a time over all devices, rounded up to a multiple of them; by default all.
      progress: Called with the number of rows done.
      **options: What `run` is compiled for.
    """
    mesh = _all_devices()
    count = len(jax.tree.leaves(rows)[0])
    by_row = NamedSharding(mesh, P("rows"))
    results, done = [], 0
    with jax.set_mesh(mesh):
        shared = on_all_devices(shared)
        for chosen, real in batches(count, at_once or count, mesh.size):
            taken = jax.tree.map(lambda leaf, chosen=chosen: np.asarray(leaf)[chosen], rows)
            taken = place(taken, jax.tree.map(lambda _: by_row, taken))
            results.append(to_host(_spread(run, mesh, tuple(options.items()), shared, taken)))
            done += real
            progress(done)
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:count], *results)


def on_all_devices(tree: PyTree) -> PyTree:
    """Copy `tree` to each device of all processes; what lies there already stays as it is."""
    everywhere = NamedSharding(_all_devices(), REPLICATED)
    return place(jax.tree.map(_movable, tree), jax.tree.map(lambda _: everywhere, tree))


def batches(
    count: int, at_once: int, devices: int = 1
) -> Iterator[tuple[Int[np.ndarray, "b"], int]]:
    """Yield the rows of equally large batches, and how many of each are real.

    The last batch is filled up with copies of the last row.

    Args:
      count: How many rows there are, at least one.
      at_once: Rows of a batch, rounded up to a multiple of the devices.
      devices: That share a batch.
    """
    size = -(-min(at_once, count) // devices) * devices
    for start in range(0, count, size):
        yield np.minimum(np.arange(start, start + size), count - 1), min(size, count - start)


def deal(rows: PyTree, like: PyTree) -> PyTree:
    """Place a batch as in training: along the axis "data" of the mesh that `like` lies on.

    For programs whose weights may be spread, too, so that `over_devices` cannot hold them. Where
    `like` lies on no mesh, the batch goes to the default device.
    """
    mesh = _mesh_of(like)
    if mesh is None:
        return jax.tree.map(jnp.asarray, rows)
    by_row = NamedSharding(mesh, P("data"))
    return place(rows, jax.tree.map(lambda _: by_row, rows))


def sharers(like: PyTree) -> int:
    """Return how many devices `deal` gives a batch to."""
    mesh = _mesh_of(like)
    return 1 if mesh is None else mesh.shape["data"]


def _mesh_of(tree: PyTree) -> Mesh | None:
    sharding = getattr(jax.tree.leaves(tree)[0], "sharding", None)
    return sharding.mesh if isinstance(sharding, NamedSharding) else None


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
) -> PyTree:
    program = functools.partial(run, **dict(options))
    return jax.shard_map(
        program, mesh=mesh, in_specs=(P(), P("rows")), out_specs=P("rows"), check_vma=False
    )(shared, rows)
