"""Safetensors files: precision, shards, laziness, and what is refused."""

import json
import struct

import ml_dtypes
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from common.errors import UserError
from common.weights.files import read_tensors, weight_files, write_tensors

TENSORS = {
    "matrix": np.arange(6, dtype=np.float32).reshape(2, 3),
    "half": np.arange(3, dtype=np.float16),
    "brain": np.array([1.5, -2.0], ml_dtypes.bfloat16),
    "scalar": np.array(2.5, np.float32),
    "whole": np.array([[1], [2]], np.int64),
    "nothing": np.zeros((0, 4), np.float32),
}


def assert_same(actual, expected):
    assert actual.keys() == expected.keys()
    for name, tensor in expected.items():
        assert (actual[name].dtype, actual[name].shape) == (tensor.dtype, tensor.shape), name
        np.testing.assert_array_equal(actual[name], tensor)


def test_write_and_read(tmp_path):
    path = tmp_path / "model.safetensors"
    write_tensors(path, TENSORS, {"format": "pt"})
    assert_same(read_tensors(path), TENSORS)
    assert_same(read_tensors(tmp_path), TENSORS)
    with safe_open(path, "numpy") as file:
        assert file.metadata() == {"format": "pt"}


def test_a_transposed_view_is_written_as_it_looks(tmp_path):
    path = tmp_path / "x.safetensors"
    write_tensors(path, {"x": TENSORS["matrix"].T}, {})
    np.testing.assert_array_equal(read_tensors(path)["x"], TENSORS["matrix"].T)


def test_reads_what_the_library_writes(tmp_path):
    plain = {name: TENSORS[name] for name in ("matrix", "half", "scalar", "whole")}
    save_file(plain, tmp_path / "x.safetensors", metadata={"by": "safetensors"})
    assert_same(read_tensors(tmp_path / "x.safetensors"), plain)


def test_arrays_are_views_of_the_mapped_file(tmp_path):
    write_tensors(tmp_path / "x.safetensors", {"x": TENSORS["matrix"]}, {})
    x = read_tensors(tmp_path / "x.safetensors")["x"]
    assert not x.flags.writeable and not x.flags.owndata


def write_shards(directory, weight_map):
    half = len(TENSORS) // 2
    items = list(TENSORS.items())
    for i, part in enumerate((items[:half], items[half:]), start=1):
        write_tensors(directory / f"model-{i:05}-of-00002.safetensors", dict(part), {})
    index = directory / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))


def shard_map():
    names = list(TENSORS)
    file = "model-{:05}-of-00002.safetensors"
    return {name: file.format(1 + (i >= len(names) // 2)) for i, name in enumerate(names)}


def test_shards(tmp_path):
    write_shards(tmp_path, shard_map())
    assert_same(read_tensors(tmp_path), TENSORS)


def test_a_missing_shard(tmp_path):
    write_shards(tmp_path, shard_map())
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(UserError, match=r"shard 'model-00002-of-00002\.safetensors'.*is missing"):
        read_tensors(tmp_path)


def test_an_index_that_promises_more(tmp_path):
    write_shards(tmp_path, shard_map() | {"extra": "model-00001-of-00002.safetensors"})
    with pytest.raises(UserError, match="lack extra"):
        read_tensors(tmp_path)


def test_an_index_may_not_leave_its_folder(tmp_path):
    write_shards(tmp_path, shard_map() | {"x": "../elsewhere.safetensors"})
    with pytest.raises(UserError, match="outside its folder"):
        read_tensors(tmp_path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "holds no JSON object"),
        ('{"weight_map": 3}', "is not an index of sharded weights"),
        ("{}", "is not an index of sharded weights"),
    ],
)
def test_a_broken_index(tmp_path, content, sentence):
    (tmp_path / "model.safetensors.index.json").write_text(content)
    with pytest.raises(UserError, match=sentence):
        read_tensors(tmp_path)


def framed(header, data=b""):
    encoded = json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + data


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        b"\xff" * 64,
        struct.pack("<Q", 4) + b"nope",
        framed([1, 2]),
        framed({"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, b"1234"),
        framed({"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, b"12345678"),
        framed({"x": {"dtype": "F8", "shape": [1], "data_offsets": [0, 1]}}, b"1"),
        framed({"x": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, b"1234"),
        framed({"x": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}}, b"1234"),
        framed({"x": {"dtype": "F32", "shape": [1]}}, b"1234"),
    ],
)
def test_damaged_files(tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match="safetensors file"):
        read_tensors(path)


def test_what_is_not_there_or_not_known(tmp_path):
    with pytest.raises(UserError, match=r"no weight file .*x\.safetensors"):
        read_tensors(tmp_path / "x.safetensors")
    with pytest.raises(UserError, match=r"looked for model\.safetensors, .*pytorch_model\.bin"):
        read_tensors(tmp_path)
    (tmp_path / "x.h5").write_bytes(b"")
    with pytest.raises(UserError, match=r"neither a \.safetensors file nor a PyTorch archive"):
        read_tensors(tmp_path / "x.h5")


def test_forms_of_weight_files():
    assert weight_files("unet/diffusion_pytorch_model") == (
        ("unet/diffusion_pytorch_model.safetensors",),
        (
            "unet/diffusion_pytorch_model.safetensors.index.json",
            "unet/diffusion_pytorch_model-?????-of-?????.safetensors",
        ),
        ("unet/diffusion_pytorch_model.bin",),
    )
    assert weight_files("model")[-1] == ("pytorch_model.bin",)


def test_what_is_written_is_read_and_its_bytes_are_in_order(tmp_path):
    tensors = {"b": np.arange(6, dtype=np.float32).reshape(2, 3).T, "a": np.ones(3, np.int8)}
    metadata = {name: f"{name} ü" for name in "zyxwvutsr"}
    write_tensors(tmp_path / "x.safetensors", tensors, metadata)
    write_tensors(tmp_path / "y.safetensors", tensors, dict(reversed(metadata.items())))
    content = (tmp_path / "x.safetensors").read_bytes()
    assert content == (tmp_path / "y.safetensors").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert list(header["__metadata__"]) == sorted(metadata)
    with safe_open(tmp_path / "x.safetensors", framework="numpy") as file:
        assert file.metadata() == metadata
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(file.get_tensor(name), tensor)
