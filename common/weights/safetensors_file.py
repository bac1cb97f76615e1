"""Safetensors files, mapped into memory: arrays by name, and the text that the header carries."""

import math
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from common import strict_json
from common.damage import DAMAGED, cause
from common.errors import UserError
from common.files import require_file, require_no_pointer
from common.text import shown

LARGEST_HEADER = 100_000_000
"""Bytes; the format's own limit."""

# safetensors' own numpy reader refuses bfloat16, and copies what it reads.
_DTYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
_REMEDY = "download or write it again"


def read_safetensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read one safetensors file.

    The format: the header's length (8 bytes, little endian), a JSON header, the tensors' bytes.

    Returns:
      Read-only views of the mapped file, and the metadata.

    Raises:
      UserError: The file is missing, damaged or something else.
    """
    require_file(path, _REMEDY)
    try:
        with path.open("rb") as file:
            start = file.read(64)
            require_no_pointer(path, start)
            if len(start) < 8:
                raise ValueError("it is too short")
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        header, start = _header(mapped)
        metadata = header.pop("__metadata__", None) or {}
        return _views(mapped, start, header), _texts(metadata)
    except DAMAGED as error:
        raise UserError(
            f"{shown(path)} is damaged or not a safetensors file ({cause(error)}): {_REMEDY}."
        ) from error


def _header(mapped: mmap.mmap) -> tuple[dict[str, Any], int]:
    """Return the header, and where the tensors' bytes begin."""
    length = int.from_bytes(mapped[:8], "little")
    if length > min(LARGEST_HEADER, len(mapped) - 8):
        raise ValueError(f"a header of {length} bytes")
    header = strict_json.parse(mapped[8 : 8 + length].decode())
    if not isinstance(header, dict):
        raise ValueError("the header is not a JSON object")
    return header, 8 + length


def _views(mapped: mmap.mmap, start: int, header: Mapping[str, Any]) -> dict[str, np.ndarray]:
    views, ends = {}, {0}
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        views[name], begin, end = _view(mapped, start, **entry)
        if begin not in ends:
            raise ValueError(f"{name!r} begins at {begin}, where no other tensor ends")
        ends = {end}
    if start + max(ends) != len(mapped):
        raise ValueError(f"the tensors end at {max(ends)} of {len(mapped) - start} bytes")
    return {name: views[name] for name in header}


def _view(
    mapped: mmap.mmap, start: int, dtype: str, shape: list[int], data_offsets: list[int]
) -> tuple[np.ndarray, int, int]:
    begin, end = data_offsets
    if any(type(number) is not int or number < 0 for number in (begin, end, *shape)):
        raise ValueError(f"shape {shape} from {begin} to {end}")
    if dtype not in _DTYPES:
        raise ValueError(f"the type {dtype!r:.30} is not one of {', '.join(_DTYPES)}")
    if math.prod(shape) * np.dtype(_DTYPES[dtype]).itemsize != end - begin:
        raise ValueError(f"{end - begin} bytes for shape {shape}")
    array = np.ndarray(shape, _DTYPES[dtype], buffer=mapped, offset=start + begin)
    return array, begin, end


def _texts(metadata: Any) -> dict[str, str]:
    if not isinstance(metadata, dict) or not all(isinstance(x, str) for x in metadata.values()):
        raise ValueError("the metadata is not text by name")
    return metadata
