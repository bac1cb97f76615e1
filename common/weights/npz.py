"""Reading npz files that may be damaged, hostile or not ours."""

import math
import zipfile
from pathlib import Path

import numpy as np

from common.damage import DAMAGED, cause
from common.errors import UserError
from common.files import require_file, require_no_pointer

SMALL = 2**28
"""Bytes that a file may unpack to, however small it is."""
MOST_PACKED = 16
"""How many times its own size a larger file may unpack to."""

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_SUFFIX = ".npy"


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Read all arrays of an npz file, checksums included, and run no code from it.

    Memory stays near what the file unpacks to, which is bounded by its size.

    Raises:
      ValueError: The file is absent, damaged, not an npz file, or holds Python objects.
    """
    try:
        require_file(path)
        with path.open("rb") as file:
            require_no_pointer(path, file.read(64))
            with zipfile.ZipFile(file) as archive:
                _require_budget(archive, path.stat().st_size)
                return {_name(member): _read(archive, member) for member in archive.infolist()}
    except UserError as error:
        raise ValueError(str(error).rstrip(".")) from error
    except DAMAGED as error:
        raise ValueError(cause(error)) from error


def _require_budget(archive: zipfile.ZipFile, size: int) -> None:
    members = archive.infolist()
    if any(member.compress_type not in _METHODS for member in members):
        raise ValueError("it is packed in a way that numpy does not write")
    if len({member.filename for member in members}) < len(members):
        raise ValueError("it holds one name twice")
    if sum(member.file_size for member in members) > max(SMALL, MOST_PACKED * size):
        raise ValueError("it unpacks to far more than its own size")


def _name(member: zipfile.ZipInfo) -> str:
    if not member.filename.endswith(_SUFFIX):
        raise ValueError(f"{member.filename[:60]!r} is not an array")
    return member.filename.removesuffix(_SUFFIX)


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """Return one array, for which no memory is taken before its header fits the member's size."""
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        headers = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        if version not in headers:
            raise ValueError(f"an array in numpy's format {version[0]}.{version[1]}")
        shape, _, dtype = headers[version](file)
        if dtype.hasobject:
            raise ValueError(f"{member.filename!r} holds Python objects")
        if math.prod(shape) * dtype.itemsize != member.file_size - file.tell():
            raise ValueError(f"{member.filename!r} is not as long as its header says")
    with archive.open(member) as file:
        # Read to its end, where zip compares the checksum.
        return np.lib.format.read_array(file, allow_pickle=False)
