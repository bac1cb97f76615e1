"""Many independent problems in one program: sharded over devices, chunked to memory."""

from collections.abc import Callable

import jax
from jax import lax
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, PyTree

from common.gradients import with_gradient

RowLosses = Callable[..., tuple[Float[Array, "c"], dict[str, Float[Array, "c"]]]]


def padded(count: int, devices: int, chunk: int) -> tuple[int, int]:
    """Return how many rows to lay out for `count` real ones, and how many at a time on a device.

    Args:
      count: Real rows.
      devices: Devices that share the row axis.
      chunk: Most rows at a time on one device; 0 for all of its rows at once.
    """
    per_device = -(-count // devices)
    at_once = min(chunk, per_device) if chunk else per_device
    per_device = -(-per_device // at_once) * at_once
    return per_device * devices, at_once


def sum_over_rows(
    losses: RowLosses,
    tokens: Float[Array, "r n d"],
    rows: PyTree,
    shared: PyTree,
    *,
    at_once: int,
) -> tuple[Float[Array, ""], dict[str, Float[Array, "r"]]]:
    """Return the sum of all rows' losses, differentiable in `tokens`, and the rows' metrics.

    No row's loss depends on another row's tokens, so each device differentiates its own rows,
    `at_once` at a time, and the gradient needs no communication. The derivative is taken here
    and handed to the caller's `jax.grad` as a linear term whose value is zero.

    Args:
      losses: `losses(tokens, rows, shared)` of some rows -> (`[c]`, metrics of `[c]`).
      tokens: Sharded over the mesh's `data` axis.
      rows: Pytree whose leaves begin with the row axis, sharded alike.
      shared: Pytree that every row reads.
      at_once: Rows that one device treats together; divides its share.
    """

    def chunk(tokens: Array, rows: PyTree, shared: PyTree) -> tuple[Array, Array, PyTree]:
        def total(tokens: Array) -> tuple[Array, tuple[Array, PyTree]]:
            values, metrics = losses(tokens, rows, shared)
            return values.sum(), (values, metrics)

        gradient, (values, metrics) = jax.grad(total, has_aux=True)(tokens)
        return values, gradient, metrics

    def device(tokens: Array, rows: PyTree, shared: PyTree) -> tuple[Array, Array, PyTree]:
        if tokens.shape[0] == at_once:
            return chunk(tokens, rows, shared)
        split = jax.tree.map(lambda x: x.reshape(-1, at_once, *x.shape[1:]), (tokens, rows))
        result = lax.map(lambda part: chunk(*part, shared), split)
        return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), result)

    by_row = P("data")
    values, gradient, metrics = jax.shard_map(
        device,
        in_specs=(by_row, by_row, P()),
        out_specs=(by_row, by_row, by_row),
        axis_names={"data"},
        check_vma=False,
    )(lax.stop_gradient(tokens), rows, shared)
    return with_gradient(values.sum(), tokens, gradient), metrics
