"""PyTorch's zip checkpoints (`.bin`, `.pt`), read by an unpickler that runs no code."""

import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from common.errors import UserError

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
    """Reads a checkpoint saved by `torch.save` as `{key: array}`.

    A checkpoint that nests its weights under `state_dict` is unwrapped.

    Raises:
      UserError: The file is no such archive, or holds more than tensors.
    """
    content = unpickle_torch_archive(path)
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict):
        raise UserError(f"{str(path)!r} holds no named tensors.")
    return {key: value for key, value in content.items() if isinstance(value, np.ndarray)}


def unpickle_torch_archive(path: Path) -> Any:
    """Whatever `torch.save` wrote, with arrays for tensors.

    Only tensors, ordered dicts and plain containers, numbers and strings are understood;
    anything else in the pickle is refused before it is called.

    Raises:
      UserError: The file is no such archive, or asks for anything else.
    """
    remedy = "convert it to safetensors on a machine where you trust it"
    try:
        with zipfile.ZipFile(path) as archive:
            return _TensorUnpickler(archive, _folder(archive)).load()
    except _RefusedError as error:
        raise UserError(f"{str(path)!r} {error}; {remedy}.") from error
    except zipfile.BadZipFile as error:
        raise UserError(
            f"{str(path)!r} is damaged or in PyTorch's format from before 1.6; {remedy}."
        ) from error
    except Exception as error:  # a damaged pickle may fail in any way
        raise UserError(f"{str(path)!r} is damaged ({error}); download it again.") from error


class _RefusedError(Exception):
    """What the archive asks for beyond plain tensors."""


class _TensorUnpickler(pickle.Unpickler):
    def __init__(self, archive: zipfile.ZipFile, folder: str):
        super().__init__(archive.open(f"{folder}/data.pkl"))
        self._archive = archive
        self._folder = folder
        self._storages: dict[str, np.ndarray] = {}

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise _RefusedError(f"asks for {module}.{name}, which is no tensor") from None

    def persistent_load(self, pid: Any) -> np.ndarray:
        kind, storage, key, _, count = pid
        if kind != "storage" or storage not in _STORAGES:
            raise _RefusedError(f"refers to {pid!r}, which is no tensor storage")
        if key not in self._storages:
            data = self._archive.read(f"{self._folder}/data/{key}")
            self._storages[key] = np.frombuffer(data, _STORAGES[storage], count)
        return self._storages[key]


def _folder(archive: zipfile.ZipFile) -> str:
    pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise _RefusedError("is a zip file but no PyTorch checkpoint")
    return pickles[0].removesuffix("/data.pkl")


def _rebuild_tensor(
    storage: np.ndarray, offset: int, size: tuple, stride: tuple, *_: object
) -> np.ndarray:
    # np.ndarray itself checks that offset and strides stay within the storage.
    item = storage.itemsize
    strides = tuple(item * step for step in stride)
    return np.ndarray(size, storage.dtype, storage, offset * item, strides)


def _rebuild_parameter(data: np.ndarray, *_: object) -> np.ndarray:
    return data


_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    # Storage classes are only named, never called, so their names stand for them.
    **{("torch", name): name for name in _STORAGES},
}
