"""`torch.save` without torch, for plain containers of float32 arrays."""

import io
import pickle
import struct
import zipfile

import numpy as np


def torch_archive(value: object) -> bytes:
    """Return the bytes of a PyTorch checkpoint; equal values give equal bytes.

    It holds the three kinds of members that every reader knows: web UIs refuse an archive
    with any other. `torch.load(weights_only=True)` accepts it.

    Args:
      value: Dicts of text, whole numbers, None, float32 arrays and further such dicts.
    """
    storages: list[bytes] = []
    program = pickle.PROTO + b"\x02" + _opcodes(value, storages) + pickle.STOP
    members = {"data.pkl": program}
    members |= {f"data/{key}": storage for key, storage in enumerate(storages)}
    members["version"] = b"3\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(f"archive/{name}"), content)  # dated 1980
    return buffer.getvalue()


def _opcodes(value: object, storages: list[bytes]) -> bytes:
    """Return the pickle program that builds `value`; array contents are added to `storages`."""
    match value:
        case None:
            return pickle.NONE
        case int():
            return pickle.BININT + struct.pack("<i", value)
        case str():
            text = value.encode()
            return pickle.BINUNICODE + struct.pack("<I", len(text)) + text
        case tuple():
            parts = b"".join(_opcodes(part, storages) for part in value)
            return pickle.MARK + parts + pickle.TUPLE
        case dict():
            parts = b"".join(_opcodes(part, storages) for pair in value.items() for part in pair)
            return pickle.EMPTY_DICT + pickle.MARK + parts + pickle.SETITEMS
        case np.ndarray(dtype=np.float32):
            return _tensor(value, storages)
    raise TypeError(f"{type(value).__name__} has no place in a PyTorch checkpoint")


def _tensor(array: np.ndarray, storages: list[bytes]) -> bytes:
    """Write a call of `_rebuild_tensor_v2(storage, offset, size, stride, ...)`."""
    array = np.ascontiguousarray(array, "<f4")
    key = str(len(storages))
    storages.append(array.tobytes())
    strides = tuple(stride // array.itemsize for stride in array.strides)
    storage = (
        pickle.MARK
        + _opcodes("storage", storages)
        + _global("torch", "FloatStorage")
        + _opcodes(key, storages)
        + _opcodes("cpu", storages)
        + _opcodes(array.size, storages)
        + pickle.TUPLE
        + pickle.BINPERSID
    )
    arguments = (
        storage
        + _opcodes(0, storages)
        + _opcodes(array.shape, storages)
        + _opcodes(strides, storages)
        + pickle.NEWFALSE
        + _global("collections", "OrderedDict")
        + pickle.EMPTY_TUPLE
        + pickle.REDUCE
    )
    rebuild = _global("torch._utils", "_rebuild_tensor_v2")
    return rebuild + pickle.MARK + arguments + pickle.TUPLE + pickle.REDUCE


def _global(module: str, name: str) -> bytes:
    return pickle.GLOBAL + f"{module}\n{name}\n".encode()
