"""A pass of a frozen encoder over examples, on all devices of this process."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from common.data.broken import BrokenExamples, errors_of
from common.errors import UserError

Encoder = Callable[[Any, jax.Array], dict[str, jax.Array]]


def feature_pass(
    encode: Encoder,
    params: PyTree,
    load: Callable[[int], np.ndarray],
    count: int,
    *,
    batch_size: int,
    rows: range | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, np.ndarray]:
    """Encode examples in batches of one shape, so that it compiles once.

    Examples are loaded by threads while the devices work on the batch before. The batch is
    spread over this process's devices and rounded up to a multiple of them; the last one is
    filled up with copies of its last example, which are dropped again. Other processes are not
    waited for: `passes.cached_pass` shares out the work among them.

    Args:
      encode: Pure function of (params, batch) to named arrays with the batch in front.
      params: The encoder's weights; copied to each device.
      load: Gives one preprocessed example by its number. Must be safe in threads.
      count: How many examples there are.
      batch_size: Examples at once, over all devices.
      rows: Which examples to encode, by default all. The batch is of the same shape for any.
      progress: Called after each batch with the examples done and their total.

    Returns:
      For each name that `encode` gives, an array of the examples in order.

    Raises:
      BrokenExamples: Some cannot be loaded; all of them are named.
    """
    if count < 1 or batch_size < 1:
        raise ValueError(f"count={count} and batch_size={batch_size} must be positive.")
    rows = range(count) if rows is None else rows
    devices = jax.local_devices()
    mesh = jax.make_mesh((len(devices),), ("data",), axis_types=(AxisType.Auto,), devices=devices)
    split, whole = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in (["data"], []))
    size = -(-min(batch_size, count) // len(devices)) * len(devices)
    params = jax.device_put(params, whole)
    run = jax.jit(encode, out_shardings=split)

    finished: list[dict[str, np.ndarray]] = []
    with jax.set_mesh(mesh), ThreadPoolExecutor() as pool:
        pending = None
        for start in range(0, len(rows), size):
            chosen = [rows[min(place, len(rows) - 1)] for place in range(start, start + size)]
            try:
                batch = np.stack(list(pool.map(load, chosen)))
            except UserError:
                raise BrokenExamples(errors_of(load, rows[start:])) from None
            # Dispatch this batch before waiting for the one before it.
            running = run(params, jax.device_put(batch, split))
            if pending is not None:
                finished.append(jax.device_get(pending))
                progress(start, len(rows))
            pending = running
        finished.append(jax.device_get(pending))
        progress(len(rows), len(rows))
    return _concatenate(finished, len(rows))


def _concatenate(batches: Sequence[dict[str, np.ndarray]], count: int) -> dict[str, np.ndarray]:
    return {name: np.concatenate([b[name] for b in batches])[:count] for name in batches[0]}
