"""Memory of weights: copies in the order that devices take over, and pages that are given back."""

import math
import mmap
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds
from numpy.lib.stride_tricks import as_strided
from numpy.typing import DTypeLike

_ALIGNMENT = 64
"""Bytes. On a CPU, XLA takes over an array that begins at a multiple of it, and copies others."""
_SLAB = 2**26  # bytes

# Rows and columns that are transposed together: they fit into a processor's cache.
_ROWS, _COLUMNS = 256, 32
_PAD = 16  # Rows a power of two apart would share few of the cache's places.


class Arena:
    """Memory for the arrays of a tree, taken in slabs: the system gives large pages faster."""

    def __init__(self) -> None:
        self._free = np.empty(0, np.uint8)

    def copy(self, view: np.ndarray, dtype: DTypeLike | None = None) -> np.ndarray:
        """Return a read-only copy in C order, aligned so that a CPU device need not copy it again.

        Args:
          view: Of any order; transposed layers are copied in blocks.
          dtype: Of the copy; None leaves it as it is.
        """
        copy = self._array(view.shape, view.dtype if dtype is None else np.dtype(dtype))
        source = np.moveaxis(view, (-1, -2), (0, 1)) if view.ndim > 1 else view
        if view.flags.c_contiguous or view.ndim < 2 or not source.flags.c_contiguous:
            copy[...] = view
        else:
            _transpose(source, copy)
        copy.flags.writeable = False
        return copy

    def _array(self, shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
        size = math.prod(shape) * dtype.itemsize
        if size > len(self._free):
            slab = np.empty(max(size, _SLAB) + _ALIGNMENT, np.uint8)
            self._free = slab[-slab.ctypes.data % _ALIGNMENT :]
        array = self._free[:size].view(dtype).reshape(shape)
        self._free = self._free[-(-size // _ALIGNMENT) * _ALIGNMENT :]
        return array


def release(array: np.ndarray) -> None:
    """Give the pages of a mapped file's array back; they are read again if they are needed."""
    base: Any = array
    while isinstance(base, np.ndarray | memoryview):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    if not isinstance(base, mmap.mmap) or not hasattr(mmap, "MADV_DONTNEED") or not array.size:
        return
    first, _ = byte_bounds(np.frombuffer(base, np.uint8))
    start, end = (place - first for place in byte_bounds(array))
    start -= start % mmap.PAGESIZE
    base.madvise(mmap.MADV_DONTNEED, start, end - start)


def _transpose(source: np.ndarray, copy: np.ndarray) -> None:
    """Copy `[out, in, ...]` into `[..., in, out]`."""
    row = source[0].size
    padded = np.empty((min(_ROWS, len(source)), row + _PAD), source.dtype)
    for start in range(0, len(source), _ROWS):
        rows = source[start : start + _ROWS]
        strides = (padded.strides[0], *rows.strides[1:])
        block = as_strided(padded, rows.shape, strides)
        block[...] = rows
        turned = np.moveaxis(block, (0, 1), (-1, -2))
        for first in range(0, source.shape[1], _COLUMNS):
            columns = slice(first, first + _COLUMNS)
            copy[..., columns, start : start + _ROWS] = turned[..., columns, :]
