"""Checkpoints of numpy arrays: safetensors, and `.bin` without running its code."""

import json
import mmap
from collections.abc import Mapping
from pathlib import Path

import ml_dtypes
import numpy as np
from safetensors.numpy import save, save_file

from common.errors import UserError
from common.files import atomic_write, read_json
from common.paths import AnyPath
from common.progress import say
from common.weights.torch_archive import read_torch_archive

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
    "U8": np.uint8,
    "BOOL": np.bool_,
}
# Where the PyTorch file is not called like the safetensors file.
_TORCH_STEMS = {"model": "pytorch_model", "open_clip_model": "open_clip_pytorch_model"}
LARGE = 2**28
"""Bytes of a file from which on reading it is announced."""

_TORCH_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt")


def read_tensors(path: Path | str, stem: str = "model") -> dict[str, np.ndarray]:
    """Reads a checkpoint as `{key: array}`.

    Arrays of safetensors files are read-only views of the mapped file: only what is used is
    read, and memory stays near the size of the weights.

    Args:
      path: A weight file (`.safetensors`, a sharded `.safetensors.index.json`, or a PyTorch
        archive), or a directory.
      stem: In a directory, the name of the weights without suffix: `{stem}.safetensors` comes
        first, then the sharded index, then the PyTorch file.

    Raises:
      UserError: There are no weights, or a file is damaged or of another format.
    """
    path = Path(path)
    if path.is_dir():
        path = _in_directory(path, stem)
    if not path.is_file():
        raise UserError(f"there is no weight file {str(path)!r}.")
    size = path.stat().st_size
    if size > LARGE or path.name.endswith(".index.json"):
        say(f"Reading {path}…" if size < LARGE else f"Reading {path}, {size / 2**30:.1f} GiB…")
    if path.name.endswith(".index.json"):
        return _read_shards(path)
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if path.suffix in _TORCH_SUFFIXES:
        return read_torch_archive(path)
    raise UserError(f"{str(path)!r} is neither a .safetensors file nor a PyTorch archive.")


def write_tensors(
    path: AnyPath | str, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> None:
    """Writes one safetensors file; `metadata` is text that the file's header carries.

    The same tensors and metadata give the same bytes.
    """
    contiguous = {key: np.asarray(tensor, order="C") for key, tensor in tensors.items()}
    with atomic_write(path) as temporary:
        save_file(contiguous, temporary, metadata=dict(metadata))
        _sort_metadata(temporary)


def tensor_bytes(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """What `write_tensors` writes, of small tensors."""
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
    """Shell patterns of the files that may hold `stem`'s weights, the preferred form first."""
    folder, _, name = stem.rpartition("/")
    base = f"{folder}/" if folder else ""
    safe = f"{base}{name}"
    torch = f"{base}{_TORCH_STEMS.get(name, name)}"
    return (
        (f"{safe}.safetensors",),
        (f"{safe}.safetensors.index.json", f"{safe}-?????-of-?????.safetensors"),
        (f"{torch}.bin",),
    )


def _in_directory(directory: Path, stem: str) -> Path:
    names = [patterns[0] for patterns in weight_files(stem)]
    for name in names:
        if (directory / name).is_file():
            return directory / name
    raise UserError(f"{str(directory)!r} holds no weights; looked for {', '.join(names)}.")


def _read_shards(index: Path) -> dict[str, np.ndarray]:
    try:
        names = read_json(index)["weight_map"]
        shards = sorted(set(names.values()))
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{str(index)!r} is no index of sharded weights.") from error
    tensors: dict[str, np.ndarray] = {}
    for shard in shards:
        if Path(shard).name != shard:
            raise UserError(f"{str(index)!r} names the shard {shard!r} outside its folder.")
        if not (index.parent / shard).is_file():
            raise UserError(f"the shard {shard!r} that {str(index)!r} names is missing.")
        tensors |= _read_safetensors(index.parent / shard)
    if absent := sorted(set(names) - set(tensors)):
        raise UserError(f"the shards of {str(index)!r} lack {', '.join(absent[:12])}.")
    return tensors


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Format: header length (8 bytes, little endian), JSON header, then the tensors' bytes."""
    with path.open("rb") as file:
        if path.stat().st_size < 8:
            raise UserError(f"{str(path)!r} is too short for a safetensors file.")
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    start = 8 + int.from_bytes(mapped[:8], "little")
    try:
        header = json.loads(mapped[8:start])
        header.pop("__metadata__", None)
        return {name: _view(mapped, start, **entry) for name, entry in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{str(path)!r} is damaged or no safetensors file; download or write it again."
        ) from error


def _view(
    mapped: mmap.mmap, start: int, dtype: str, shape: list[int], data_offsets: list[int]
) -> np.ndarray:
    begin, end = data_offsets
    if min([begin, *shape]) < 0:  # numpy would take -1 for "as many as there are"
        raise ValueError(f"negative shape {shape} or offset {begin}")
    array = np.ndarray(shape, _DTYPES[dtype], buffer=mapped, offset=start + begin)
    if array.nbytes != end - begin:
        raise ValueError(f"{end - begin} bytes for shape {shape}")
    return array
