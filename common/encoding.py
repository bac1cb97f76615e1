"""A pass of a frozen encoder over examples, on all devices of this process."""

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from common.errors import UserError
from common.photos.broken import BrokenExamples, errors_of

Encoder = Callable[[Any, jax.Array], dict[str, jax.Array]]

AT_ONCE = 64
"""Examples of a list that are encoded together."""


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
    mesh = _local_mesh()
    split = NamedSharding(mesh, PartitionSpec("data"))
    size = -(-min(batch_size, count) // mesh.size) * mesh.size
    params = on_local_devices(params)
    run = jax.jit(encode, out_shardings=split)

    finished: list[dict[str, np.ndarray]] = []
    with jax.set_mesh(mesh), ThreadPoolExecutor() as pool:
        pending = None
        for start in range(0, len(rows), size):
            try:
                loaded = list(pool.map(load, rows[start : start + size]))
            except UserError:
                raise BrokenExamples(errors_of(load, rows[start:])) from None
            batch = np.stack(loaded + loaded[-1:] * (size - len(loaded)))  # One shape for all.
            # Dispatch this batch before waiting for the one before it.
            running = run(params, jax.device_put(batch, split))
            if pending is not None:
                finished.append(jax.device_get(pending))
                progress(start, len(rows))
            pending = running
        finished.append(jax.device_get(pending))
        progress(len(rows), len(rows))
    return _concatenate(finished, len(rows))


def encode_list(
    encode: Encoder, params: PyTree, load: Callable[[int], np.ndarray], count: int
) -> dict[str, np.ndarray]:
    """Encode a list of any length with few programs: `AT_ONCE` examples, or a power of two.

    Args:
      encode, params, load: As of `feature_pass`.
      count: How many examples there are, at least one.

    Raises:
      BrokenExamples: Some cannot be loaded; all of them are named.
    """
    full = count // AT_ONCE * AT_ONCE
    parts = [part for part in (range(full), range(full, count)) if part]
    encoded = []
    for part in parts:
        size = min(AT_ONCE, 1 << (len(part) - 1).bit_length())
        try:
            encoded.append(feature_pass(encode, params, load, size, rows=part, batch_size=AT_ONCE))
        except BrokenExamples as error:
            later = errors_of(load, range(part.stop, count))
            raise BrokenExamples([*error.errors, *later]) from None
    return _concatenate(encoded, count)


def require_values(what: str, pure: str) -> None:
    """Refuse to be called while JAX traces a program, whose arrays have no values yet.

    Args:
      what: Is called, for the sentence.
      pure: Names the functions to call in a program.

    Raises:
      UserError: A program is traced.
    """
    if isinstance(jnp.zeros(()), jax.core.Tracer):
        raise UserError(
            f"{what} takes lists and places weights, which no program under jax.jit can do: call "
            f"it outside, or {pure} inside."
        )


def on_local_devices(params: PyTree) -> PyTree:
    """Copy weights to each device of this process; those that lie there stay as they are."""
    return jax.device_put(params, NamedSharding(_local_mesh(), PartitionSpec()))


@functools.cache
def _local_mesh() -> Mesh:
    devices = jax.local_devices()
    return jax.make_mesh((len(devices),), ("data",), axis_types=(AxisType.Auto,), devices=devices)


def _concatenate(batches: Sequence[dict[str, np.ndarray]], count: int) -> dict[str, np.ndarray]:
    return {name: np.concatenate([b[name] for b in batches])[:count] for name in batches[0]}
