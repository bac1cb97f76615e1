"""Flax's own files (`.msgpack`) of transformers and diffusers, under the names of PyTorch's.

Their arrays become what the PyTorch file beside them holds, so that one table reads both.
"""

import math
import mmap
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import msgpack
import numpy as np

from common.damage import DAMAGED, cause
from common.errors import UserError
from common.files import require_file, require_no_pointer
from common.nesting import flatten
from common.text import shown
from common.weights.rules import TRANSFORMS

_ARRAY, _SCALAR = 1, 3  # flax.serialization's extension types
_MOST_AXES = 8
_DTYPES = {
    name: np.dtype(name)
    for name in ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8")
} | {"bfloat16": np.dtype(ml_dtypes.bfloat16), "bool": np.dtype(bool)}

# The last part of a path: its name in PyTorch, and by the number of axes how its layout differs.
_LEAVES: Mapping[str, tuple[str, Mapping[int, str]]] = {
    "kernel": ("weight", {2: "linear", 4: "conv"}),
    "embedding": ("weight", {}),
    "scale": ("weight", {}),
}
# diffusers writes a list's members as `resnets_0`; other names, as `linear_1`, end in a number.
_LISTS = re.compile(
    r"\b(down_blocks|up_blocks|resnets|attentions|downsamplers|upsamplers|transformer_blocks"
    r"|to_out|net)_(\d+)\b"
)
_REMEDY = "download it again"


def read_flax_file(path: Path) -> dict[str, np.ndarray]:
    """Read a `flax_model.msgpack` or `diffusion_flax_model.msgpack` as `{PyTorch's key: array}`.

    Raises:
      UserError: The file is damaged, or holds more than arrays.
    """
    require_file(path, _REMEDY)
    try:
        with path.open("rb") as file:
            require_no_pointer(path, file.read(64))
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        tree = msgpack.unpackb(mapped, ext_hook=_extension, strict_map_key=True)
        if not isinstance(tree, dict):
            raise ValueError("it is not a tree of arrays")
        return dict(_in_torch(path, leaf) for path, leaf in flatten(tree).items())
    except (*DAMAGED, msgpack.UnpackException) as error:
        raise UserError(
            f"{shown(path)} is damaged or not Flax's ({cause(error)}): {_REMEDY}."
        ) from error


def _in_torch(path: str, leaf: Any) -> tuple[str, np.ndarray]:
    """Return a leaf's key in PyTorch, and a view of it in PyTorch's layout."""
    if not isinstance(leaf, np.ndarray):
        raise ValueError(f"{path[:100]!r} is not an array")
    *parents, last = path.split("/")
    name, layouts = _LEAVES.get(last, (last, {}))
    key = _LISTS.sub(r"\1.\2", ".".join([*parents, name]))
    return key, TRANSFORMS[layouts.get(leaf.ndim, "keep")].to_source(leaf)


def _extension(kind: int, data: bytes) -> np.ndarray:
    if kind not in (_ARRAY, _SCALAR):
        raise ValueError(f"extension {kind} is not an array")
    shape, name, content = msgpack.unpackb(data, raw=True)
    dtype = _DTYPES.get(name.decode())
    if dtype is None:
        raise ValueError(f"the type {name[:30]!r} is not one of {', '.join(_DTYPES)}")
    if len(shape) > _MOST_AXES or not all(type(x) is int and x >= 0 for x in shape):
        raise ValueError("an array's shape is not a short list of numbers from 0 on")
    if math.prod(shape) * dtype.itemsize != len(content):
        raise ValueError(f"{len(content)} bytes for an array of shape {shape}")
    return np.frombuffer(content, dtype).reshape(shape)
