"""PyTorch's zip checkpoints (`.bin`, `.pt`), read by an unpickler that runs no code."""

import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, NoReturn

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


def _rebuild_tensor(
    storage: np.ndarray, offset: int, size: tuple, stride: tuple, *_: object
) -> np.ndarray:
    # np.ndarray checks that the strides stay within the storage.
    item = storage.itemsize
    return np.ndarray(
        size, storage.dtype, storage, offset * item, tuple(item * step for step in stride)
    )


def _rebuild_parameter(data: np.ndarray, *_: object) -> np.ndarray:
    return data


_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    # Storage classes are only named, so their names can stand for them.
    **{("torch", name): name for name in _STORAGES},
}


class _Refused(Exception):
    """The archive asks for something that is no plain tensor."""


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
            raise _Refused(f"asks for {module}.{name}, which is no plain tensor") from None

    def persistent_load(self, pid: Any) -> np.ndarray:
        kind, storage, key, _, count = pid
        if kind != "storage" or storage not in _STORAGES:
            raise _Refused(f"refers to {pid!r}, which is no tensor storage")
        if key not in self._storages:
            data = self._archive.read(f"{self._folder}/data/{key}")
            self._storages[key] = np.frombuffer(data, _STORAGES[storage], count)
        return self._storages[key]


def read_torch_archive(path: Path) -> dict[str, np.ndarray]:
    """Reads a checkpoint saved by `torch.save` as `{key: array}`.

    Only tensors, ordered dicts and plain containers are understood; anything else in the
    pickle is refused before it is called. A checkpoint that nests its weights under
    `state_dict` is unwrapped.

    Raises:
      UserError: The file is no such archive, or holds more than tensors.
    """
    remedy = "convert it to safetensors on a machine where you trust it"
    try:
        with zipfile.ZipFile(path) as archive:
            members = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            if len(members) != 1:
                _refuse(path, "is a zip file but no PyTorch checkpoint", remedy)
            loaded = _TensorUnpickler(archive, members[0].removesuffix("/data.pkl")).load()
    except _Refused as error:
        _refuse(path, str(error), remedy)
    except zipfile.BadZipFile:
        _refuse(path, "is damaged or saved in PyTorch's format from before 1.6", remedy)
    except Exception as error:  # a damaged pickle may fail in any way
        _refuse(path, f"is damaged ({error})", "download it again")
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, dict):
        _refuse(path, "holds no named tensors", remedy)
    return {key: value for key, value in loaded.items() if isinstance(value, np.ndarray)}


def _refuse(path: Path, what: str, remedy: str) -> NoReturn:
    raise UserError(f"{str(path)!r} {what}; {remedy}.")
