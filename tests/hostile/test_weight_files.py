"""Safetensors files, shards and weights that are damaged, hostile or of another model."""

import json
import os
import struct

import ml_dtypes
import numpy as np
import pytest

from common.errors import UserError
from common.nesting import nest
from common.weights.files import read_tensors, write_tensors
from common.weights.safetensors_file import read_safetensors
from common.weights.table import Rule, to_flax

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 99\n"


def framed(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(shape=(1,), dtype="F32", begin=0, end=4):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


FILES = {
    "a header beyond the file": struct.pack("<Q", 2**40) + b"{}",
    "a header beyond 64 bits": b"\xff" * 8 + b"{}",
    "a header of another kind": framed([1, 2]),
    "a header that is not JSON": framed(b"\x00\x01\x02"),
    "a header that is not UTF-8": framed(b'{"\xff": 1}'),
    "a header nested deeply": framed(b'{"x":' * 20000),
    "a name twice": framed(
        b'{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
        b'"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
        bytes(8),
    ),
    "an axis of 1e9": framed({"x": tensor((10**9,))}, bytes(4)),
    "axes beyond 64 bits": framed({"x": tensor((10**12, 10**12))}, bytes(4)),
    "an axis as a float": framed({"x": tensor((1.0,))}, bytes(4)),
    "an axis as text": framed({"x": tensor(("1",))}, bytes(4)),
    "an axis that is true": framed({"x": tensor((True,))}, bytes(4)),
    "a negative axis": framed({"x": tensor((-1,))}, bytes(4)),
    "a hundred axes": framed({"x": tensor((1,) * 100)}, bytes(4)),
    "a shape that is a number": framed({"x": tensor() | {"shape": 1}}, bytes(4)),
    "an offset beyond the file": framed({"x": tensor(begin=4, end=8)}, bytes(4)),
    "an offset of 2**70": framed({"x": tensor(begin=2**70, end=2**70 + 4)}, bytes(4)),
    "an end before its begin": framed({"x": tensor((0,), begin=4, end=0)}, bytes(4)),
    "three offsets": framed({"x": tensor() | {"data_offsets": [0, 4, 8]}}, bytes(8)),
    "offsets that are text": framed({"x": tensor() | {"data_offsets": "04"}}, bytes(4)),
    "tensors that overlap": framed({"x": tensor(), "y": tensor()}, bytes(4)),
    "tensors that overlap in part": framed({"x": tensor((2,), end=8), "y": tensor()}, bytes(8)),
    "a gap": framed({"x": tensor(), "y": tensor(begin=8, end=12)}, bytes(12)),
    "bytes behind the last tensor": framed({"x": tensor()}, bytes(12)),
    "fewer bytes than promised": framed({"x": tensor((4,), end=16)}, bytes(12)),
    "a type that is none": framed({"x": tensor(dtype="F31")}, bytes(4)),
    "a type that is a list": framed({"x": tensor() | {"dtype": ["F32"]}}, bytes(4)),
    "an entry that is a number": framed({"x": 3}),
    "an entry with another field": framed({"x": tensor() | {"strides": [1]}}, bytes(4)),
    "metadata that is not text": framed({"__metadata__": {"a": 1}}),
    "metadata that is a list": framed({"__metadata__": ["a"]}),
}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_damaged_safetensors(tmp_path, content):
    file = tmp_path / "x.safetensors"
    file.write_bytes(content)
    for read in (read_tensors, read_safetensors):
        with pytest.raises(UserError, match="is damaged or not a safetensors file") as caught:
            read(file)
        assert len(str(caught.value)) < 700


def test_what_is_sound_stays_readable(tmp_path):
    file = tmp_path / "x.safetensors"
    entries = {"b": tensor(begin=0, end=4), "empty": tensor((0, 9), begin=4, end=4)}
    content = entries | {"a": tensor((), begin=4, end=8), "__metadata__": {"k": "ü"}}
    file.write_bytes(framed(content, np.array([1.5, -2], "<f4").tobytes()))
    tensors, metadata = read_safetensors(file)
    assert metadata == {"k": "ü"} and list(tensors) == ["b", "empty", "a"]
    assert tensors["b"] == [1.5] and tensors["a"] == -2 and tensors["empty"].shape == (0, 9)


@pytest.mark.parametrize("name", ["x.safetensors", "x.bin", "x.pt"])
@pytest.mark.parametrize("kind", ["pointer", "pipe", "folder", "absent"])
def test_what_is_not_a_weight_file(tmp_path, name, kind):
    file = tmp_path / name
    match kind:
        case "pointer":
            file.write_bytes(LFS)
        case "pipe":
            os.mkfifo(file)
        case "folder":
            file.mkdir()
    sentence = {"pointer": "Git-LFS pointer", "folder": "holds no weights"}.get(kind, "no weight")
    with pytest.raises(UserError, match=sentence):
        read_tensors(file)


INDEXES = {
    "a path above": ({"x": "../x.safetensors"}, "outside its folder"),
    "an absolute path": ({"x": "/etc/passwd"}, "outside its folder"),
    "a path below": ({"x": "a/x.safetensors"}, "outside its folder"),
    "a path of Windows": ({"x": "..\\x.safetensors"}, "outside its folder"),
    "the folder above": ({"x": ".."}, "outside its folder|is missing"),
    "no name": ({"x": ""}, "outside its folder|is missing"),
    "a number": ({"x": 3}, "is not an index of sharded weights"),
    "null": ({"x": None}, "is not an index of sharded weights"),
    "a list for the map": (["x"], "is not an index of sharded weights"),
    "5,000 letters": ({"x": "x" * 5000}, "is missing"),
    "NUL": ({"x": "x\0"}, "is missing"),
    "a pipe": ({"x": "pipe.safetensors"}, "is missing"),
    "a shard that is not a shard": ({"x": "other.txt"}, "is damaged or not a safetensors file"),
    "a tensor that is not there": ({"z": "a.safetensors"}, "lack z"),
    "a tensor in two shards": (
        {"x": "a.safetensors", "y": "b.safetensors"},
        "two shards of .* hold x",
    ),
}


@pytest.mark.parametrize(("names", "sentence"), INDEXES.values(), ids=INDEXES)
def test_indexes_of_shards(tmp_path, names, sentence):
    os.mkfifo(tmp_path / "pipe.safetensors")
    (tmp_path / "other.txt").write_text("other")
    x = np.ones(1, np.float32)
    write_tensors(tmp_path / "a.safetensors", {"x": x}, {})
    write_tensors(tmp_path / "b.safetensors", {"x": x, "y": x}, {})
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    with pytest.raises(UserError, match=sentence) as caught:
        read_tensors(tmp_path)
    assert len(str(caught.value)) < 900


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod."])
def test_what_wrappers_put_before_every_key(tmp_path, prefix):
    x = np.ones(1, np.float32)
    file = tmp_path / "x.safetensors"
    write_tensors(file, {f"{prefix}a.weight": x, f"{prefix}b": x}, {})
    assert read_tensors(file).keys() == {"a.weight", "b"}
    write_tensors(file, {f"{prefix}a": x, "b": x}, {})
    assert read_tensors(file).keys() == {f"{prefix}a", "b"}


TABLE = (
    Rule("layer{i}.weight", "layer{i}/kernel", "linear"),
    Rule("conv.weight", "conv/kernel", "conv"),
    Rule("flat.weight", "flat/kernel", "conv1x1_as_linear"),
    Rule("scale", "scale"),
    Rule("{name}.free", "{name}"),
)
SHAPES = {"layer0": {"kernel": np.zeros((3, 2))}, "scale": np.zeros(())}


def weights(**changes):
    sound = {"layer0.weight": np.ones((2, 3), np.float32), "scale": np.array(1, np.float32)}
    return sound | changes


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite(dtype, value):
    broken = np.ones((2, 3)).astype(dtype)
    broken[1, 2] = value
    with pytest.raises(UserError, match=r"checkpoint holds NaN or infinite .* 'layer0\.weight'"):
        to_flax(TABLE, weights(**{"layer0.weight": broken}), expected=SHAPES)


def test_weights_beyond_float32():
    with pytest.raises(UserError, match="holds NaN or infinite numbers"):
        to_flax(TABLE, weights(**{"layer0.weight": np.full((2, 3), 1e300)}), expected=SHAPES)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.bool_, np.complex64])
def test_weights_that_are_not_floating_point(dtype):
    with pytest.raises(UserError, match=r"1 entry \(layer0.weight\) that are not floating-point"):
        to_flax(TABLE, weights(**{"layer0.weight": np.ones((2, 3), dtype)}), expected=SHAPES)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_a_number_in_brackets_is_the_number(shape):
    params = to_flax(TABLE, weights(scale=np.full(shape, 4.6, np.float32)), expected=SHAPES)
    assert params["scale"].shape == () and params["scale"] == np.float32(4.6)


def test_two_numbers_are_not_one():
    with pytest.raises(UserError, match=r"scale \(2,\) instead of \(\)"):
        to_flax(TABLE, weights(scale=np.ones(2, np.float32)), expected=SHAPES)


WRONG = {
    "a convolution of two axes": {"conv.weight": np.ones((2, 3), np.float32)},
    "a convolution of six axes": {"conv.weight": np.ones((1,) * 6, np.float32)},
    "a 3x3 convolution as a map": {"flat.weight": np.ones((2, 3, 3, 3), np.float32)},
    "a number as a map": {"flat.weight": np.array(1, np.float32)},
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG)
def test_axes_of_another_layer(changes):
    with pytest.raises(UserError, match="does not have the axes of its kind of layer"):
        to_flax(TABLE, weights(**changes))


def test_nothing_is_copied_before_all_fits():
    """A key may stand for any number of layers, and its numbers for any number of copies."""
    huge = np.broadcast_to(np.float32(1), (10**6, 10**6))
    many = {f"layer{i}.weight": huge for i in range(1000)}
    with pytest.raises(UserError, match="holds 1000 entries"):
        to_flax(TABLE, weights() | {f"x{key}": value for key, value in many.items()})
    with pytest.raises(UserError, match="that the configuration does not ask for"):
        to_flax(TABLE, weights() | many, expected=SHAPES)


@pytest.mark.parametrize("order", [1, -1])
def test_a_tensor_in_anothers_place(order):
    x = np.ones(1, np.float32)
    with pytest.raises(UserError, match="is in another tensor's place"):
        nest(dict([("a", x), ("a/b", x)][::order]))
