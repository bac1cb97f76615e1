"""Names for arrays, and for what trees of them hold."""

from typing import Any

import numpy as np
from jaxtyping import Array

AnyArray = np.ndarray | Array
"""Arrays on the host, or of JAX: on a device or traced."""

Params = dict[str, Any]
"""Weights, nested by the names of their parts; or their shapes and dtypes, where only those are
known."""

Leaf = Any
"""An array; or what JAX puts into an array's place: its shape, its axis, nothing."""
