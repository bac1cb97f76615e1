"""Results on disk that are read only by whoever would compute the same ones."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from absl import logging

from common.files import atomic_write
from common.finite import not_finite, require_finite
from common.weights.npz import read_npz

Key = Mapping[str, str]
"""Everything that a result depends on, named: the fingerprints of weights and data, the
preprocessing, the kind of result."""

_KEY = "__key__"


@dataclass(frozen=True)
class ExpectedArrays:
    """What the arrays of a result are known to be; a file with others is not read.

    Attributes:
      names: Of the arrays.
      rows: Their first axis.
      shapes: Their further axes, for the names whose are known.
    """

    names: frozenset[str]
    rows: int
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def fault(self, arrays: Mapping[str, np.ndarray]) -> str:
        """Return what is not as expected, or nothing."""
        if set(arrays) != self.names:
            return "it holds other arrays"
        for name, array in arrays.items():
            wanted = (self.rows, *self.shapes.get(name, array.shape[1:]))
            if array.dtype.kind not in "biuf" or array.shape != wanted:
                return f"{name} is {array.dtype}{list(array.shape)} in place of {list(wanted)}"
        return ""


def cached(
    directory: Path | str,
    key: Key,
    compute: Callable[[], dict[str, np.ndarray]],
    expected: ExpectedArrays | None = None,
) -> dict[str, np.ndarray]:
    """Return what `compute()` returns, from disk if it was computed for the same key before.

    Args:
      directory: Where the npz files lie; made if absent. They may be deleted at any time, and
        any number of runs may write there at once.
      key: The file's name is a hash of its parts, and the parts themselves are stored in it and
        compared, so a stale file is never read.
      compute: Makes the arrays. NumPy's own number types only.
      expected: What the arrays must be, where that is known before.

    A file that is damaged, not as expected or holds NaN is computed anew, with a warning.

    Raises:
      UserError: `compute` makes NaN or infinite numbers, which are not kept.
    """
    stored = find(directory, key, expected)
    if stored is not None:
        return stored
    arrays = {name: np.asarray(array) for name, array in compute().items()}
    for name, array in arrays.items():
        if array.dtype.kind not in "biufc":
            raise TypeError(f"{name!r} is {array.dtype}, which an npz file cannot hold.")
    require_finite(
        arrays,
        f"what was computed ({key.get('what', 'a result')})",
        "compute it with dtype=float32; if that does not help, look for damaged weights or data",
    )
    text, path = _place(directory, key)
    with atomic_write(path) as temporary:
        np.savez(temporary, **arrays, **{_KEY: np.asarray(text)})
    return arrays


def find(
    directory: Path | str, key: Key, expected: ExpectedArrays | None = None
) -> dict[str, np.ndarray] | None:
    """Return what `cached` left in `directory` for this key; None if nothing, or nothing usable."""
    text, path = _place(directory, key)
    if not os.path.exists(path):  # Unlike pathlib's, it refuses no name.
        return None
    try:
        arrays = read_npz(path)
        if str(arrays.pop(_KEY)) != text:
            raise ValueError("it was made for another key")
        if fault := expected.fault(arrays) if expected else "":
            raise ValueError(fault)
        if names := not_finite(arrays):
            raise ValueError(f"it holds NaN or infinite numbers in {', '.join(names)}")
        return arrays
    except (KeyError, ValueError) as error:
        logging.warning("The cached file %s is damaged (%s) and is computed anew.", path, error)
        return None


def _place(directory: Path | str, key: Key) -> tuple[str, Path]:
    text = json.dumps(dict(key), sort_keys=True)
    return text, Path(directory) / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.npz"
