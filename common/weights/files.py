"""Checkpoints of numpy arrays: safetensors, `.bin` without running its code, Flax's, `.npz`."""

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save, save_file

from common.errors import UserError
from common.files import atomic_write, read_json
from common.paths import AnyPath
from common.progress import say
from common.text import shown, some
from common.weights.big_vision import read_big_vision
from common.weights.flax_file import read_flax_file
from common.weights.safetensors_file import read_safetensors
from common.weights.torch_archive import read_torch_archive

# Where the PyTorch file is not called like the safetensors file.
_TORCH_STEMS = {"model": "pytorch_model", "open_clip_model": "open_clip_pytorch_model"}
_FLAX_STEMS = {"model": "flax_model", "diffusion_pytorch_model": "diffusion_flax_model"}
_INDEX = re.compile(r"\.index(\.\w+)?\.json$")
LARGE = 2**28
"""Bytes of a file from which on reading it is announced."""

TORCH_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt")
_READERS: Mapping[str, Callable[[Path], dict[str, np.ndarray]]] = {
    ".safetensors": lambda path: read_safetensors(path)[0],
    **dict.fromkeys(TORCH_SUFFIXES, read_torch_archive),
    ".msgpack": read_flax_file,
    ".npz": read_big_vision,
}

SUFFIXES = frozenset(_READERS)
"""Of the files that hold weights."""

# What DistributedDataParallel and torch.compile call the module that they hold.
_WRAPPERS = ("module.", "_orig_mod.")


def read_tensors(path: Path | str, stem: str = "model") -> dict[str, np.ndarray]:
    """Read a checkpoint as `{key: array}`.

    Arrays of safetensors files are read-only views of the mapped file: only what is used is
    read, and memory stays near the size of the weights.

    Args:
      path: A weight file (`.safetensors`, a PyTorch archive, Flax's `.msgpack`, big_vision's
        `.npz`, or the index of shards), or a directory.
      stem: In a directory, the name of the weights without suffix; see `weight_files` and
        `other_weight_files` for what comes first.

    Raises:
      UserError: There are no weights, or a file is damaged or of another format.
    """
    path = Path(path)
    if os.path.isdir(path):  # Unlike pathlib's, it refuses no name.
        path = _in_directory(path, stem)
    if not os.path.isfile(path):
        raise UserError(f"there is no weight file {shown(path)}.")
    size = path.stat().st_size
    if size > LARGE or _INDEX.search(path.name):
        say(f"Reading {path}…" if size < LARGE else f"Reading {path}, {size / 2**30:.1f} GiB…")
    if _INDEX.search(path.name):
        return _without_wrapper(_read_shards(path))
    if path.suffix in _READERS:
        return _without_wrapper(_READERS[path.suffix](path))
    raise UserError(
        f"{shown(path)} is neither a .safetensors file nor a PyTorch archive nor Flax's .msgpack."
    )


def write_tensors(
    path: AnyPath | str,
    tensors: Mapping[str, np.ndarray],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write one safetensors file; `metadata` is text that the file's header carries, if any.

    The same tensors and metadata give the same bytes.
    """
    contiguous = {key: np.asarray(tensor, order="C") for key, tensor in tensors.items()}
    with atomic_write(path) as temporary:
        save_file(contiguous, temporary, metadata=None if metadata is None else dict(metadata))
        if metadata is not None:
            _sort_metadata(temporary)


def tensor_bytes(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """Return what `write_tensors` writes, of small tensors."""
    content = save(dict(tensors), metadata=dict(metadata))
    start = 8 + int.from_bytes(content[:8], "little")
    return content[:8] + _in_order(content[8:start]) + content[start:]


def _sort_metadata(path: Path) -> None:
    with path.open("r+b") as file:
        header = file.read(int.from_bytes(file.read(8), "little"))
        file.seek(8)
        file.write(_in_order(header))


def _in_order(header: bytes) -> bytes:
    # The library writes the metadata in an order that differs from process to process.
    content = json.loads(header)
    content["__metadata__"] = dict(sorted(content.get("__metadata__", {}).items()))
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
    return text.ljust(len(header)) if len(text) <= len(header) else header


def weight_files(stem: str) -> tuple[tuple[str, ...], ...]:
    """Return patterns of the files that may hold `stem`'s weights, the preferred first."""
    safe, torch, _ = _stems(stem)
    return (
        (f"{safe}.safetensors",),
        (f"{safe}.safetensors.index.json", f"{safe}-?????-of-?????.safetensors"),
        (f"{torch}.bin",),
    )


def other_weight_files(stem: str) -> tuple[tuple[str, ...], ...]:
    """Return patterns of files that are read where none of `weight_files` is there."""
    safe, torch, flax = _stems(stem)
    return (
        (f"{torch}.bin.index.json", f"{torch}-?????-of-?????.bin"),
        (f"{safe}.fp16.safetensors",),
        (
            f"{safe}.safetensors.index.fp16.json",
            f"{safe}.fp16-?????-of-?????.safetensors",
            f"{safe}-?????-of-?????.fp16.safetensors",
        ),
        (f"{torch}.fp16.bin",),
        (f"{flax}.msgpack",),
    )


def _stems(stem: str) -> tuple[str, str, str]:
    """Return what safetensors files, PyTorch's and Flax's are called, with their folder."""
    folder, _, name = stem.rpartition("/")
    base = f"{folder}/" if folder else ""
    torch, flax = _TORCH_STEMS.get(name, name), _FLAX_STEMS.get(name, name)
    return f"{base}{name}", f"{base}{torch}", f"{base}{flax}"


def _in_directory(directory: Path, stem: str) -> Path:
    names = [patterns[0] for patterns in weight_files(stem)]
    for name in names:
        if (directory / name).is_file():
            return directory / name
    for name, *_ in other_weight_files(stem):
        if (directory / name).is_file():
            if "fp16" in name:
                say(f"Only the fp16 variant of the weights is there: {directory / name}")
            return directory / name
    raise UserError(f"{shown(directory)} holds no weights; looked for {', '.join(names)}.")


def _read_shards(index: Path) -> dict[str, np.ndarray]:
    tensors: dict[str, np.ndarray] = {}
    names = read_json(index).get("weight_map")
    if not isinstance(names, dict) or not all(isinstance(x, str) for x in names.values()):
        raise UserError(f"{shown(index)} is not an index of sharded weights.")
    for shard in sorted(set(names.values())):
        if Path(shard).name != shard or "\\" in shard:
            raise UserError(f"{shown(index)} names the shard {shown(shard)} outside its folder.")
        if not os.path.isfile(index.parent / shard):
            raise UserError(f"the shard {shown(shard)} that {shown(index)} names is missing.")
        read = _READERS.get(Path(shard).suffix, _READERS[".safetensors"])
        part = read(index.parent / shard)
        if twice := sorted(set(part) & set(tensors)):
            raise UserError(f"two shards of {shown(index)} hold {some(twice, 12, str)}.")
        tensors |= part
    if absent := sorted(set(names) - set(tensors)):
        raise UserError(f"the shards of {shown(index)} lack {some(absent, 12, str)}.")
    return tensors


def _without_wrapper(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Drop what PyTorch puts before every key of a module that trained on several devices."""
    for prefix in _WRAPPERS:
        if tensors and all(key.startswith(prefix) for key in tensors):
            return {key.removeprefix(prefix): tensor for key, tensor in tensors.items()}
    return tensors
