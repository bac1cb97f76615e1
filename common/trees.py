"""Names for what trees of arrays hold."""

from typing import Any

Params = dict[str, Any]
"""Weights, nested by the names of their parts; or their shapes and dtypes, where only those are
known."""

Leaf = Any
"""An array; or what JAX puts into an array's place: its shape, its axis, nothing."""
