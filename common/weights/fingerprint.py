"""A short name for the exact content of a set of weights."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from common.nesting import flatten

_LENGTH = 16


def fingerprint(tree: Mapping[str, Any], *facts: str) -> str:
    """Return sixteen hex characters that change whenever a weight does.

    The SHA-256 covers every path, shape, dtype and byte, and is independent of the order of the
    mapping; a nested tree and its flattened form agree.

    Args:
      tree: Nested or flat mapping to arrays.
      facts: What else the numbers depend on, such as the `repr` of a model configuration.
    """
    sha = hashlib.sha256()
    for fact in facts:
        sha.update(f"{len(fact)}:{fact}".encode())
    for path, leaf in sorted(flatten(tree).items()):
        array = np.ascontiguousarray(leaf)
        # ascontiguousarray makes scalars one-dimensional, hence the leaf's own shape.
        sha.update(f"{path} {np.shape(leaf)} {array.dtype.name}\n".encode())
        sha.update(array.reshape(-1).view(np.uint8))
    return sha.hexdigest()[:_LENGTH]


def digest(content: Any) -> str:
    """Return the fingerprint of anything that JSON can hold."""
    return fingerprint({}, json.dumps(content))


def text_digest(text: str) -> str:
    """Return sixteen hex characters that change with any letter of `text`."""
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]
