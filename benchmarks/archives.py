"""PyTorch's archives as its tools write them, without PyTorch: state dicts, and TorchScript."""

import io
import pickle
import struct
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

KINDS = {"float32": "FloatStorage", "float16": "HalfStorage", "int64": "LongStorage"}


def text(value: str) -> bytes:
    """Return the pickle of a text."""
    encoded = value.encode()
    return pickle.BINUNICODE + struct.pack("<I", len(encoded)) + encoded


def number(value: int) -> bytes:
    """Return the pickle of a whole number."""
    return pickle.BININT + struct.pack("<i", value)


def named(module: str, name: str) -> bytes:
    """Return the pickle of a global."""
    return pickle.GLOBAL + f"{module}\n{name}\n".encode()


def tuple_of(*parts: bytes) -> bytes:
    """Return the pickle of a tuple of pickles."""
    return pickle.MARK + b"".join(parts) + pickle.TUPLE


def dict_of(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the pickle of a dict of pickles."""
    items = b"".join(key + value for key, value in pairs)
    return pickle.EMPTY_DICT + pickle.MARK + items + pickle.SETITEMS


class Program:
    """A pickle that grows, and the storages that it names."""

    def __init__(self):
        self.storages: list[bytes] = []

    def tensor(self, array: np.ndarray) -> bytes:
        """Return the pickle of a tensor, whose storage is kept."""
        array = np.asarray(array, order="C")
        key = str(len(self.storages))
        self.storages.append(array.tobytes())
        storage = tuple_of(
            text("storage"),
            named("torch", KINDS[array.dtype.name]),
            text(key),
            text("cuda:0"),
            number(array.size),
        )
        strides = (stride // array.itemsize for stride in array.strides)
        arguments = tuple_of(
            storage + pickle.BINPERSID,
            number(0),
            tuple_of(*map(number, array.shape)),
            tuple_of(*map(number, strides)),
            pickle.NEWFALSE,
            named("collections", "OrderedDict") + pickle.EMPTY_TUPLE + pickle.REDUCE,
        )
        return named("torch._utils", "_rebuild_tensor_v2") + arguments + pickle.REDUCE

    def value(self, value: Any) -> bytes:
        """Return the pickle of nested dicts; bytes are a pickle already."""
        match value:
            case None:
                return pickle.NONE
            case bytes():  # a program already
                return value
            case str():
                return text(value)
            case int():
                return number(value)
            case dict():
                return dict_of((self.value(key), self.value(x)) for key, x in value.items())
        return self.tensor(value)

    def made(self, module: str, name: str, attributes: Mapping[str, bytes]) -> bytes:
        """Return the pickle of an object of a class with these attributes."""
        state = dict_of((text(key), x) for key, x in attributes.items())
        return named(module, name) + pickle.EMPTY_TUPLE + pickle.NEWOBJ + state + pickle.BUILD

    def module(self, tree: Mapping[str, Any], path: str = "multimodal") -> bytes:
        """Return the pickle of a module of TorchScript, with modules for the dicts in it."""
        attributes = {"training": pickle.NEWFALSE, "_is_full_backward_hook": pickle.NONE}
        for key, value in tree.items():
            below = isinstance(value, dict)
            attributes[key] = self.module(value, key) if below else self.tensor(value)
        return self.made(f"__torch__.{path}", "Module", attributes)

    def archive(self, program: bytes, **members: bytes) -> bytes:
        """Return the archive of a pickle, with further members."""
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as file:
            file.writestr("x/data.pkl", pickle.PROTO + b"\x02" + program + pickle.STOP)
            for key, storage in enumerate(self.storages):
                file.writestr(f"x/data/{key}", storage)
            for name, data in members.items():
                method = zipfile.ZIP_DEFLATED if name.startswith("code/") else zipfile.ZIP_STORED
                file.writestr(f"x/{name}", data, method)
        return content.getvalue()


def nested(tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return tensors by the parts of their dotted names."""
    tree: dict[str, Any] = {}
    for key, value in tensors.items():
        *parents, name = key.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = value
    return tree


def script_archive(tensors: Mapping[str, np.ndarray]) -> bytes:
    """Return what `torch.jit.save` writes of a module with this state dict."""
    program = Program()
    code = {"code/__torch__/multimodal.py": b"raise SystemExit\n" * 100, "constants.pkl": b"x"}
    return program.archive(program.module(nested(tensors)), **code)


def checkpoint_archive(content: Mapping[str, Any]) -> bytes:
    """Return what `torch.save` writes of nested dicts."""
    program = Program()
    return program.archive(program.value(content))
