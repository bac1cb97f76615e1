"""Results on disk that are read only by whoever would compute the very same ones."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from absl import logging

from common.data.npz import read_npz
from common.files import atomic_write

Key = Mapping[str, str]
"""Everything that a result depends on, named: the fingerprints of weights and data, the
preprocessing, the kind of result."""

_KEY = "__key__"


def cached(
    directory: Path | str, key: Key, compute: Callable[[], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Returns what `compute()` returns, from disk if it was computed for the same key before.

    Args:
      directory: Where the npz files lie; made if absent. They may be deleted at any time, and
        any number of runs may write there at once.
      key: The file's name is a hash of its parts, and the parts themselves are stored in it and
        compared, so a stale file is never read.
      compute: Makes the arrays. NumPy's own number types only.

    A damaged file is computed anew, with a warning.
    """
    found = find(directory, key)
    if found is not None:
        return found
    arrays = {name: np.asarray(array) for name, array in compute().items()}
    for name, array in arrays.items():
        if array.dtype.kind not in "biufc":
            raise TypeError(f"{name!r} is {array.dtype}, which an npz file cannot hold.")
    text, path = _place(directory, key)
    with atomic_write(path) as temporary:
        np.savez(temporary, **arrays, **{_KEY: np.asarray(text)})
    return arrays


def find(directory: Path | str, key: Key) -> dict[str, np.ndarray] | None:
    """What `cached` left in `directory` for this key; None if nothing, or nothing readable."""
    text, path = _place(directory, key)
    if not path.exists():
        return None
    try:
        arrays = read_npz(path)
        if str(arrays.pop(_KEY)) == text:
            return arrays
        reason = "it was made for another key"
    except (KeyError, ValueError) as error:
        reason = str(error)
    logging.warning("The cached file %s is damaged (%s) and is computed anew.", path, reason)
    return None


def _place(directory: Path | str, key: Key) -> tuple[str, Path]:
    text = json.dumps(dict(key), sort_keys=True)
    return text, Path(directory) / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.npz"
