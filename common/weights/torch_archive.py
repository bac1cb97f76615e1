"""PyTorch's zip checkpoints (`.bin`, `.pt`) and TorchScript, read by a machine that runs no code.

Memory stays near the size of the file, whatever the file says.
"""

import math
import mmap
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from common.damage import DAMAGED, cause
from common.errors import UserError
from common.files import require_file, require_no_pointer
from common.text import shown
from common.weights.memory import release
from common.weights.pickles import Placeholder, RefusedError, as_dict, unpickle
from common.weights.torch_script import SCRIPT, is_script, module_tensors

LARGEST_PROGRAM = 2**26
"""Bytes of an archive's pickle; a megabyte describes thousands of tensors."""
MOST_SHARED = 8
"""How much larger an archive's tensors may be together than its storages: some share one."""

_MOST_AXES = 8
_LOCAL_HEADER = struct.Struct("<26xHH")  # Before a member: how long its name and extras are.

# What checkpoints of training hold beside weights. Their objects are named, never made.
_LIBRARIES = (
    *("torch.optim", "pytorch_lightning", "lightning", "dassl", "yacs", "omegaconf"),
    *("argparse", "typing", "numpy", "_codecs"),
)
_TYPES = ("set", "frozenset", "dict", "list", "tuple", "int", "long", "float", "str", "bool")
_HARMLESS = (
    *(("torch", name) for name in ("Size", "device", "float32", "float16", "bfloat16", "int64")),
    *((module, name) for module in ("builtins", "__builtin__") for name in _TYPES),
    ("collections", "defaultdict"),
    ("collections", "Counter"),
    # The learned words of textual inversion's own code lie in one.
    ("torch.nn.modules.container", "ParameterDict"),
)
_NESTS = ("state_dict", "model_state_dict")
_STORAGES = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}


def read_torch_archive(path: Path) -> dict[str, np.ndarray]:
    """Read a checkpoint saved by `torch.save` as `{key: array}`.

    A checkpoint that nests its weights under `state_dict`, beside what its training left, is
    unwrapped. Of a program in TorchScript, as OpenAI's own CLIP files are, the weights of its
    modules are read by the names of PyTorch's state dicts; its code is not.

    Raises:
      UserError: The file is not such an archive, or holds more than tensors.
    """
    content = unpickle_torch_archive(path)
    if is_script(content):
        return module_tensors(path, content)
    for nest in _NESTS:
        if isinstance(content, dict) and isinstance(content.get(nest), dict):
            content = content[nest]
    if not isinstance(content, dict):
        raise UserError(f"{shown(path)} holds no named tensors.")
    return {str(key): value for key, value in content.items() if isinstance(value, np.ndarray)}


def unpickle_torch_archive(path: Path) -> Any:
    """Return whatever `torch.save` wrote, with arrays for tensors.

    Only tensors, ordered dicts and plain containers, numbers and strings are understood. For
    objects of the libraries that train, and of a program in TorchScript, there are placeholders;
    anything else in the pickle is refused before it is called.

    Raises:
      UserError: The file is not such an archive, or asks for anything else.
    """
    require_file(path)
    try:
        with path.open("rb") as file:
            require_no_pointer(path, file.read(64))
            with zipfile.ZipFile(file) as archive:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                return _Archive(archive, mapped).content()
    except RefusedError as error:
        raise UserError(f"{shown(path)} {error}.") from error
    except zipfile.BadZipFile as error:
        raise UserError(
            f"{shown(path)} is damaged or in PyTorch's format from before 1.6; convert it to "
            "safetensors on a machine where you trust it."
        ) from error
    except DAMAGED as error:
        raise UserError(f"{shown(path)} is damaged ({cause(error)}); download it again.") from error


class _Archive:
    """An opened archive, and what its tensors have taken of their budget."""

    def __init__(self, archive: zipfile.ZipFile, mapped: mmap.mmap):
        self._archive, self._mapped, size = archive, mapped, len(mapped)
        self._storages: dict[str, np.ndarray] = {}
        self._left = MOST_SHARED * size
        self._folder, script = _folder(archive.namelist())
        self._libraries = _LIBRARIES + SCRIPT if script else _LIBRARIES
        # A program's code is compressed; it is not read.
        code = f"{self._folder}/code/" if script else "\0"
        members = [x for x in archive.infolist() if not x.filename.startswith(code)]
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise RefusedError("is compressed, which PyTorch's checkpoints are not")
        if sum(member.file_size for member in members) > size:
            raise RefusedError("says that it unpacks to more than its own size")

    def content(self) -> Any:
        """Return what the archive's pickle describes."""
        if self._archive.getinfo(f"{self._folder}/data.pkl").file_size > LARGEST_PROGRAM:
            raise RefusedError(f"describes its tensors in more than {LARGEST_PROGRAM} bytes")
        order = f"{self._folder}/byteorder"
        if order in self._archive.namelist() and self._archive.read(order) != b"little":
            raise RefusedError("was written on a machine with another order of bytes")
        known: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): lambda pairs=(): as_dict(pairs),
            ("torch._utils", "_rebuild_tensor_v2"): self._tensor,
            ("torch._utils", "_rebuild_parameter"): _parameter,
            # Storage classes are only named, never called, so their names stand for them.
            **{("torch", name): name for name in _STORAGES},
            **{name: Placeholder(".".join(name)) for name in _HARMLESS},
        }
        program = self._archive.read(f"{self._folder}/data.pkl")
        return unpickle(program, known, self._storage, self._libraries)

    def _storage(self, pid: Any) -> np.ndarray:
        if not isinstance(pid, tuple) or len(pid) != 5 or pid[0] != "storage":
            raise RefusedError(f"refers to {_named(pid)}, which is not a tensor storage")
        _, storage, key, _, count = pid
        if not isinstance(storage, str) or storage not in _STORAGES or not isinstance(key, str):
            raise RefusedError(f"refers to {_named(storage)}, which is not a tensor storage")
        if key not in self._storages:
            data = self._view(f"{self._folder}/data/{key}")
            self._storages[key] = np.frombuffer(data, _STORAGES[storage], *_sizes((count,)))
        return self._storages[key]

    def _view(self, member: str) -> np.ndarray:
        """Return a member's bytes as they lie in the mapped file."""
        info = self._archive.getinfo(member)
        self._archive.open(info).close()  # Compares its header with the table of contents.
        lengths = _LOCAL_HEADER.unpack_from(self._mapped, info.header_offset)
        start = info.header_offset + _LOCAL_HEADER.size + sum(lengths)
        view = np.ndarray(info.file_size, np.uint8, self._mapped, start)
        if zlib.crc32(view) != info.CRC:
            raise zipfile.BadZipFile(f"{member} is not as it was written")
        release(view)
        return view

    def _tensor(
        self, storage: np.ndarray, offset: int, size: tuple, stride: tuple, *_: object
    ) -> np.ndarray:
        if not isinstance(storage, np.ndarray) or storage.ndim != 1:
            raise TypeError("a tensor without a storage")
        size, stride, (offset,) = _sizes(size), _sizes(stride), _sizes((offset,))
        self._left -= math.prod(size) * storage.itemsize
        if math.prod(size) > storage.size or self._left < 0:
            raise ValueError("its tensors are larger than their numbers")
        # np.ndarray itself checks that offset and strides stay within the storage.
        strides = tuple(storage.itemsize * step for step in stride)
        return np.ndarray(size, storage.dtype, storage, offset * storage.itemsize, strides)


def _parameter(data: np.ndarray, *_: object) -> np.ndarray:
    if not isinstance(data, np.ndarray):
        raise TypeError("a parameter without a tensor")
    return data


def _folder(members: list[str]) -> tuple[str, bool]:
    """Return the folder of an archive's members, and whether it is a program in TorchScript."""
    pickles = [name for name in members if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise RefusedError("is a zip file but not a PyTorch checkpoint")
    folder = pickles[0].removesuffix("/data.pkl")
    return folder, f"{folder}/constants.pkl" in members


def _sizes(values: tuple) -> tuple[int, ...]:
    """Return whole numbers from 0 on, few enough for axes."""
    if not isinstance(values, tuple) or len(values) > _MOST_AXES:
        raise TypeError("the sizes of a tensor are not a short tuple")
    if not all(type(value) is int and value >= 0 for value in values):
        raise ValueError("a size of a tensor is not a whole number from 0 on")
    return values


def _named(value: Any) -> str:
    """Return a name for a value whose contents may be endless."""
    return repr(value)[:60] if isinstance(value, str) else f"a {type(value).__name__}"
