"""Recall at K with the gallery spread over devices; no device holds all similarities."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Int

RANKS = (1, 5, 10)
PADDING = -1


def nearest(
    queries: Float[Array, "q p"],
    gallery: Float[Array, "m p"],
    ids: Int[Array, "m"],
    *,
    count: int,
    at_once: int,
) -> Int[Array, "q k"]:
    """Return the ids of the `count` nearest gallery entries of each query, nearest first.

    To be traced under a mesh. The gallery is sharded over "data": each device keeps its own
    best `count`, and only these are sent to the others.

    Args:
      queries: Replicated.
      gallery: Sharded, padded.
      ids: Of the gallery's entries; `PADDING` for what is not one.
      count: K.
      at_once: Queries that a device compares at a time; divides their number.
    """

    def device(queries: Array, gallery: Array, ids: Array) -> Array:
        def block(part: Array) -> tuple[Array, Array]:
            similarity = jnp.where(ids == PADDING, -jnp.inf, part @ gallery.T)
            best, where = lax.top_k(similarity, min(count, len(ids)))
            return best, ids[where]

        parts = queries.reshape(-1, at_once, queries.shape[-1])
        best, entries = (x.reshape(len(queries), -1) for x in lax.map(block, parts))
        best, entries = (lax.all_gather(x, "data", axis=1, tiled=True) for x in (best, entries))
        _, order = lax.top_k(best, count)
        return jnp.take_along_axis(entries, order, axis=1)

    return jax.shard_map(
        device,
        in_specs=(P(), P("data"), P("data")),
        out_specs=P(),
        axis_names={"data"},
        check_vma=False,
    )(queries, gallery, ids)


def recalls(
    queries: Float[np.ndarray, "q p"],
    wanted: Int[np.ndarray, "q"],
    gallery: Float[np.ndarray, "m p"],
    ids: Int[np.ndarray, "m"],
    mesh: Mesh,
    at_once: int,
) -> dict[str, float]:
    """Return the share of queries with a right entry among the K nearest, for each of `RANKS`.

    K above the size of the gallery are left out.

    Args:
      queries: Unit length.
      wanted: What is right for each query: entries of the gallery with this id.
      gallery: Unit length.
      ids: Of the gallery's entries.
      mesh: With an axis "data".
      at_once: Queries that a device compares at a time.
    """
    ranks = [rank for rank in RANKS if rank <= len(gallery)]
    devices, at_once = mesh.shape["data"], min(at_once, len(queries))
    spare, rest = -len(gallery) % devices, -len(queries) % at_once
    gallery = np.pad(gallery, ((0, spare), (0, 0))).astype(np.float32)
    ids = np.pad(ids, (0, spare), constant_values=PADDING).astype(np.int32)
    padded = np.pad(queries, ((0, rest), (0, 0))).astype(np.float32)
    by_device = NamedSharding(mesh, P("data"))
    with jax.set_mesh(mesh):
        run = jax.jit(nearest, static_argnames=("count", "at_once"))
        ranked = run(
            jax.device_put(padded, NamedSharding(mesh, P())),
            jax.device_put(gallery, by_device),
            jax.device_put(ids, by_device),
            count=max(ranks),
            at_once=at_once,
        )
    hit = np.asarray(ranked)[: len(queries)] == wanted[:, None]
    return {f"recall_at_{rank}": float(hit[:, :rank].any(axis=1).mean()) for rank in ranks}
