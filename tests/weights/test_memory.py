"""Weights in memory: the same numbers as before, aligned, and no second copy of the model."""

import json
import struct
import subprocess
import sys
import zipfile

import jax
import ml_dtypes
import numpy as np
import pytest

from common.clip import load_clip
from common.diffusion import load_stable_diffusion
from common.errors import UserError
from common.language.checkpoint import load_lm
from common.weights.files import read_tensors, write_tensors
from common.weights.memory import Arena, release
from common.weights.safetensors_file import read_safetensors
from tests.weights.test_torch_archive import mapping, pickle, tensor

SHAPES = {
    "scalar": ((), ()),
    "vector": ((7,), (0,)),
    "plain": ((300, 70), (0, 1)),
    "linear": ((600, 70), (1, 0)),
    "thin": ((1, 33), (1, 0)),
    "convolution": ((257, 65, 3, 3), (2, 3, 1, 0)),
    "other order": ((5, 6, 7), (1, 0, 2)),
    "empty": ((0, 4), (1, 0)),
}


@pytest.mark.parametrize("dtype", [None, "float16", "float32", "bfloat16"])
@pytest.mark.parametrize("kind", SHAPES)
def test_a_copy_has_the_same_numbers(kind, dtype):
    shape, axes = SHAPES[kind]
    view = np.random.default_rng(0).normal(size=shape).astype(np.float16).transpose(axes)
    dtype = np.dtype(ml_dtypes.bfloat16) if dtype == "bfloat16" else dtype and np.dtype(dtype)
    copy = Arena().copy(view, dtype)
    wanted = np.ascontiguousarray(view).reshape(view.shape)
    wanted = wanted.astype(dtype or view.dtype)
    assert copy.dtype == wanted.dtype and copy.shape == wanted.shape
    assert copy.tobytes() == wanted.tobytes()
    assert copy.flags.c_contiguous and not copy.flags.writeable


def test_copies_lie_apart_and_devices_take_them_over():
    arena, views = Arena(), [np.full((n, 9), n, np.float32).T for n in (1, 2, 600, 3)]
    copies = [arena.copy(view) for view in views]
    for view, copy in zip(views, copies, strict=True):
        np.testing.assert_array_equal(copy, view)
        placed = jax.device_put(copy, jax.devices("cpu")[0])
        assert placed.unsafe_buffer_pointer() == copy.ctypes.data


def test_what_is_given_back_is_read_again(tmp_path):
    numbers = np.random.default_rng(0).normal(size=(3, 5000)).astype(np.float32)
    write_tensors(tmp_path / "x.safetensors", {"a": numbers[0], "b": numbers[1], "c": numbers[2]})
    tensors, _ = read_safetensors(tmp_path / "x.safetensors")
    for array in (*tensors.values(), tensors["b"][7:9], tensors["b"][:0], numbers):
        release(array)
    np.testing.assert_array_equal(np.stack([tensors[name] for name in "abc"]), numbers)


GROWTH = """
import re, sys
from pathlib import Path
from common.weights.files import read_tensors
from common.weights.fingerprint import fingerprint
from common.weights.rules import Rule
from common.weights.table import to_flax

def peak():
    return 1024 * int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])

table = (Rule("{i}.weight", "{i}/kernel", "linear"), Rule("{i}.bias", "{i}/bias"))
path = Path(sys.argv[1])
before = peak()
params = to_flax(table, read_tensors(path), dtype="float32")
fingerprint(params)
print((peak() - before) / path.stat().st_size)
"""
LAYERS, SIDE = 24, 1024


@pytest.mark.skipif(sys.platform != "linux", reason="counts as Linux does")
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_model_is_not_in_memory_twice(tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    weight = np.random.default_rng(0).normal(size=(SIDE, SIDE)).astype(np.float32)
    if suffix == ".pt":
        _write_archive(path, weight)
    else:
        write_tensors(path, {f"{i}.weight": weight for i in range(LAYERS)})
    command = [sys.executable, "-c", GROWTH, str(path)]
    grown = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    assert 0.9 < json.loads(grown) < 1.5


def _write_archive(path, weight):
    shape = {"count": weight.size, "size": weight.shape, "stride": (SIDE, 1)}
    names = {f"{i}.weight": tensor(key=str(i), **shape) for i in range(LAYERS)}
    with zipfile.ZipFile(path, "w") as file:
        program = pickle.PROTO + b"\x02" + mapping(**names) + pickle.STOP
        file.writestr("archive/data.pkl", program)
        for i in range(LAYERS):
            file.writestr(f"archive/data/{i}", weight.tobytes())


def test_a_member_with_an_extra_field(tmp_path):
    """A member's place follows from its own header, with whatever that holds beside the name."""
    path = tmp_path / "x.pt"
    with zipfile.ZipFile(path, "w") as file:
        program = pickle.PROTO + b"\x02" + mapping(x=tensor()) + pickle.STOP
        file.writestr("archive/data.pkl", program)
        padded = zipfile.ZipInfo("archive/data/0")
        padded.extra = struct.pack("<HH", 0x4246, 21) + bytes(21)  # As PyTorch aligns storages.
        file.writestr(padded, np.arange(6, dtype=np.float32).tobytes())
    np.testing.assert_array_equal(read_tensors(path)["x"], np.arange(6).reshape(2, 3))


def test_a_byte_that_changed_in_an_archive(tmp_path):
    path = tmp_path / "x.pt"
    with zipfile.ZipFile(path, "w") as file:
        program = pickle.PROTO + b"\x02" + mapping(x=tensor()) + pickle.STOP
        file.writestr("archive/data.pkl", program)
        file.writestr("archive/data/0", np.arange(6, dtype=np.float32).tobytes())
    content = path.read_bytes()
    changed = content.replace(np.float32(5).tobytes(), np.float32(7).tobytes())
    assert changed != content
    path.write_bytes(changed)
    with pytest.raises(UserError, match="is damaged"):
        read_tensors(path)


@pytest.mark.parametrize(
    ("load", "names"),
    [
        (load_clip, ("2c8a623f53330812", "fa60079ba6441acf")),
        (load_stable_diffusion, ("6a566ef91029d5f8", "19e646be6ffe2a9b")),
        (load_lm, ("e31139d74beb6715", "fa0e571952711193")),
    ],
)
def test_old_runs_and_caches_know_their_model(load, names):
    assert tuple(load("pocket", dtype).fingerprint for dtype in ("float32", "bfloat16")) == names
