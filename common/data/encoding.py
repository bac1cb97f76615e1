"""One pass of a frozen encoder over a data set, on all devices of this host."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from jaxtyping import PyTree

Encoder = Callable[[Any, jax.Array], dict[str, jax.Array]]


def feature_pass(
    encode: Encoder,
    params: PyTree,
    load: Callable[[int], np.ndarray],
    count: int,
    *,
    batch_size: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, np.ndarray]:
    """Encodes `count` examples in batches of one shape, so that it compiles once.

    Examples are loaded by threads while the devices work on the batch before. The batch is
    spread over this host's devices and rounded up to a multiple of them; the last one is filled
    up with copies of its last example, which are dropped again. On several hosts each does the
    whole pass, which needs no communication. Combine with `cache.cached`.

    Args:
      encode: Pure function of (params, batch) to named arrays with the batch in front.
      params: The encoder's weights; copied to each device.
      load: Gives one preprocessed example by its number. Must be safe in threads.
      count: How many examples there are.
      batch_size: Examples at once, over all devices.
      progress: Called after each batch with the examples done and their total.

    Returns:
      For each name that `encode` gives, an array with `count` rows in order.
    """
    if count < 1 or batch_size < 1:
        raise ValueError(f"count={count} and batch_size={batch_size} must be positive.")
    devices = jax.local_devices()
    mesh = jax.make_mesh((len(devices),), ("data",), axis_types=(AxisType.Auto,), devices=devices)
    split, whole = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in (["data"], []))
    size = -(-min(batch_size, count) // len(devices)) * len(devices)
    params = jax.device_put(params, whole)
    run = jax.jit(encode, out_shardings=split)

    starts = range(0, count, size)
    finished: list[dict[str, np.ndarray]] = []
    with jax.set_mesh(mesh), ThreadPoolExecutor() as pool:
        pending = None
        for start in starts:
            rows = [min(row, count - 1) for row in range(start, start + size)]
            batch = np.stack(list(pool.map(load, rows)))
            # Dispatch this batch before waiting for the one before it.
            running = run(params, jax.device_put(batch, split))
            if pending is not None:
                finished.append(jax.device_get(pending))
                progress(start, count)
            pending = running
        finished.append(jax.device_get(pending))
        progress(count, count)
    return _concatenate(finished, count)


def _concatenate(batches: Sequence[dict[str, np.ndarray]], count: int) -> dict[str, np.ndarray]:
    return {name: np.concatenate([b[name] for b in batches])[:count] for name in batches[0]}
