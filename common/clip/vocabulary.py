"""Nearest neighbours of a vector among token embeddings."""

import numpy as np
from jaxtyping import Float, Int

_AT_ONCE = 64  # vectors compared with a table at a time, 13 MB for CLIP's


def nearest_rows(
    vectors: Float[np.ndarray, "b d"], table: Float[np.ndarray, "v d"], count: int
) -> tuple[Int[np.ndarray, "b c"], Float[np.ndarray, "b c"]]:
    """Return the rows of a token table with the largest cosine to each vector, and these cosines.

    Args:
      vectors: In the space of the table.
      table: The text tower's token embeddings, or some of them.
      count: Rows per vector, the nearest first; fewer where the table is shorter.
    """
    count = min(count, len(table))
    table = np.asarray(table, np.float32)
    # A row of zeros, which pads some published tables, has cosine 0.
    lengths = np.maximum(np.linalg.norm(table, axis=-1), np.finfo(np.float32).tiny)
    ids, cosines = [], []
    for first in range(0, len(vectors), _AT_ONCE):
        part = vectors[first : first + _AT_ONCE]
        values = part @ table.T / (np.linalg.norm(part, axis=-1, keepdims=True) * lengths)
        best = np.argpartition(-values, count - 1, axis=-1)[:, :count]
        order = np.argsort(-np.take_along_axis(values, best, -1), axis=-1, kind="stable")
        ids.append(np.take_along_axis(best, order, -1))
        cosines.append(np.take_along_axis(values, ids[-1], -1))
    return np.concatenate(ids), np.concatenate(cosines)
