"""A jitted function over many rows, so many at once that memory bounds neither."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

AT_ONCE = 1024


def in_chunks(
    run: Callable[[Int[np.ndarray, "chunk"]], Any], count: int, at_once: int = AT_ONCE
) -> Any:
    """Trees with a leading axis of `count` rows on the host, made chunk by chunk.

    Args:
      run: Rows to a tree; always given equally many, so that it compiles once.
      count: How many rows there are, at least one.
      at_once: Rows of a chunk.
    """
    at_once = min(at_once, count)
    starts = range(0, count, at_once)
    # The last chunk is filled up with copies of the last row, which are dropped again.
    rows = [np.arange(start, start + at_once).clip(max=count - 1) for start in starts]
    parts = [jax.device_get(run(own)) for own in rows]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:count], *parts)
