"""A short name for the exact content of a set of weights."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from common.weights.table import flatten


def fingerprint(tree: Mapping[str, Any], *facts: str) -> str:
    """Sixteen hex characters that change whenever a weight does.

    The SHA-256 covers every path, shape, dtype and byte, and is independent of the order of the
    mapping; a nested tree and its flattened form agree.

    Args:
      tree: Nested or flat mapping to arrays.
      facts: What else the numbers depend on, such as the `repr` of a model configuration.
    """
    digest = hashlib.sha256()
    for fact in facts:
        digest.update(f"{len(fact)}:{fact}".encode())
    for path, leaf in sorted(flatten(tree).items()):
        array = np.ascontiguousarray(leaf)
        # ascontiguousarray makes scalars one-dimensional, hence the leaf's own shape.
        digest.update(f"{path} {np.shape(leaf)} {array.dtype.name}\n".encode())
        digest.update(array.reshape(-1).view(np.uint8))
    return digest.hexdigest()[:16]
