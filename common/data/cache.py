"""Results on disk that are read only by whoever would compute the very same ones."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from absl import logging

from common.data.npz import read_npz
from common.files import atomic_write

_KEY = "__key__"


def cached(
    directory: Path | str,
    key_parts: Mapping[str, str],
    compute: Callable[[], dict[str, np.ndarray]],
) -> dict[str, np.ndarray]:
    """Returns what `compute()` returns, from disk if it was computed for the same key before.

    Args:
      directory: Where the npz files lie; made if absent. They may be deleted at any time.
      key_parts: Everything that the result depends on, named: the fingerprints of weights and
        data, the preprocessing, the kind of result. The file's name is a hash of the parts, and
        the parts themselves are stored in it and compared, so a stale file is never read.
      compute: Makes the arrays. NumPy's own number types only.

    A damaged file is computed anew, with a warning.
    """
    key = json.dumps(dict(key_parts), sort_keys=True)
    path = Path(directory) / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"
    found = _read(path, key)
    if found is not None:
        return found
    arrays = {name: np.asarray(array) for name, array in compute().items()}
    for name, array in arrays.items():
        if array.dtype.kind not in "biufc":
            raise TypeError(f"{name!r} is {array.dtype}, which an npz file cannot hold.")
    with atomic_write(path) as temporary:
        np.savez(temporary, **arrays, **{_KEY: np.asarray(key)})
    return arrays


def _read(path: Path, key: str) -> dict[str, np.ndarray] | None:
    if not path.exists():
        return None
    try:
        arrays = read_npz(path)
        if str(arrays.pop(_KEY)) == key:
            return arrays
        reason = "it was made for another key"
    except (KeyError, ValueError) as error:
        reason = str(error)
    logging.warning("The cached file %s is damaged (%s) and is computed anew.", path, reason)
    return None
