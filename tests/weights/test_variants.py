"""Weights under other names: sharded `.bin`, half precision alone, Flax's own files."""

import json
import shutil

import ml_dtypes
import msgpack
import numpy as np
import pytest
from flax.serialization import msgpack_serialize

from common.clip import load_clip
from common.diffusion import load_stable_diffusion
from common.errors import UserError
from common.nesting import nest
from common.weights.files import other_weight_files, read_tensors, write_tensors
from common.weights.flax_file import read_flax_file
from common.weights.resolve import POCKET
from mcti_jax.formats.torch_archive import torch_archive
from tests.compare import same

ONE = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3)}
TWO = {"b.bias": np.ones(3, np.float32)}


def test_shards_of_pytorch(tmp_path):
    shards = ("pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin")
    for shard, part in zip(shards, (ONE, TWO), strict=True):
        (tmp_path / shard).write_bytes(torch_archive(part))
    places = {"a.weight": shards[0], "b.bias": shards[1]}
    index = tmp_path / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    read = read_tensors(tmp_path)
    assert read.keys() == {*ONE, *TWO}
    np.testing.assert_array_equal(read["a.weight"], ONE["a.weight"])
    (tmp_path / shards[1]).unlink()
    with pytest.raises(UserError, match=r"shard 'pytorch_model-00002.*is missing"):
        read_tensors(tmp_path)


def test_half_precision_alone_is_read_and_said(tmp_path, capsys):
    half = {"a.weight": ONE["a.weight"].astype(np.float16)}
    write_tensors(tmp_path / "model.fp16.safetensors", half)
    assert read_tensors(tmp_path)["a.weight"].dtype == np.float16
    assert "Only the fp16 variant of the weights is there" in "".join(capsys.readouterr())
    write_tensors(tmp_path / "model.safetensors", ONE)
    assert read_tensors(tmp_path)["a.weight"].dtype == np.float32
    assert "variant" not in "".join(capsys.readouterr())


def test_shards_of_half_precision(tmp_path):
    shard = "diffusion_pytorch_model-00001-of-00001.fp16.safetensors"
    write_tensors(tmp_path / shard, ONE)
    index = tmp_path / "diffusion_pytorch_model.safetensors.index.fp16.json"
    index.write_text(json.dumps({"weight_map": {"a.weight": shard}}))
    assert read_tensors(tmp_path, "diffusion_pytorch_model").keys() == ONE.keys()


def test_every_other_form_has_the_folder_of_its_stem():
    forms = other_weight_files("unet/diffusion_pytorch_model")
    assert all(name.startswith("unet/diffusion_") for form in forms for name in form)
    assert forms[-1] == ("unet/diffusion_flax_model.msgpack",)
    assert other_weight_files("model")[0][0] == "pytorch_model.bin.index.json"


LISTS = ("down_blocks", "up_blocks", "resnets", "attentions", "transformer_blocks", "net")
LISTS += ("downsamplers", "upsamplers", "to_out")


def in_flax(key, tensor, diffusers):
    """Return what transformers' and diffusers' Flax classes called a tensor of PyTorch's."""
    parts = key.split(".")
    if diffusers:  # A list's members, and those of a sequence, are `resnets_0`.
        joined = []
        for part in parts:
            if part.isdigit() and joined[-1] in LISTS:
                joined[-1] += f"_{part}"
            else:
                joined.append(part)
        parts = joined
    *parents, last = parts
    if last == "weight" and "embedding" in parents[-1] and tensor.ndim == 2:
        last = "embedding"
    elif last == "weight":
        last = "scale" if tensor.ndim == 1 else "kernel"
        turned = {2: (1, 0), 4: (2, 3, 1, 0)}.get(tensor.ndim)
        tensor = np.ascontiguousarray(tensor.transpose(turned)) if turned else tensor
    return "/".join([*parents, last]), np.asarray(tensor)


def write_flax(directory, stem, name, diffusers=False):
    """Put Flax's file in the place of a folder's safetensors."""
    tensors = read_tensors(directory, stem)
    flat = dict(in_flax(key, np.array(x), diffusers) for key, x in tensors.items())
    (directory / f"{stem}.safetensors").unlink()
    (directory / name).write_bytes(msgpack_serialize(nest(flat)))


def test_a_clip_of_flax(tmp_path):
    shutil.copytree(POCKET / "clip", tmp_path / "clip")
    write_flax(tmp_path / "clip", "model", "flax_model.msgpack")
    before, after = load_clip(str(POCKET / "clip")), load_clip(str(tmp_path / "clip"))
    assert same(before.params, after.params) and before.fingerprint == after.fingerprint


def test_a_stable_diffusion_of_flax(tmp_path):
    sd = tmp_path / "sd"
    shutil.copytree(POCKET / "sd", sd)
    write_flax(sd / "text_encoder", "model", "flax_model.msgpack")
    for part in ("unet", "vae"):
        stem, name = "diffusion_pytorch_model", "diffusion_flax_model.msgpack"
        write_flax(sd / part, stem, name, diffusers=True)
    before, after = load_stable_diffusion(str(POCKET / "sd")), load_stable_diffusion(str(sd))
    assert same(before.params, after.params) and before.fingerprint == after.fingerprint


def test_types_of_flax(tmp_path):
    tree = {"a": np.array([1.5], ml_dtypes.bfloat16), "b": np.float32(2), "c": np.ones((), "i4")}
    (tmp_path / "x.msgpack").write_bytes(msgpack_serialize(tree))
    read = read_flax_file(tmp_path / "x.msgpack")
    assert {name: x.dtype.name for name, x in read.items()} == {
        "a": "bfloat16",
        "b": "float32",
        "c": "int32",
    }


def array(shape, dtype, content):
    return msgpack.ExtType(1, msgpack.packb((shape, dtype, content)))


@pytest.mark.parametrize(
    "tree",
    [
        b"",
        b"\xc1",
        b"\xff" * 100,
        msgpack.packb([1, 2]),
        msgpack.packb({"a": 1}),
        msgpack.packb({"a": {"b": "text"}}),
        msgpack.packb({1: {}}),
        msgpack.packb({"a": msgpack.ExtType(2, b"")}),
        msgpack.packb({"a": array((2,), "float32", b"1234")}),
        msgpack.packb({"a": array((-1,), "float32", b"")}),
        msgpack.packb({"a": array((2**62, 4), "float32", b"")}),
        msgpack.packb({"a": array((1,), "object", b"12345678")}),
        msgpack.packb({"a": array((1,) * 100, "int8", b"1")}),
        msgpack.packb({"a": array(3, "int8", b"1")}),
        b"\x81\xa1a" * 5000,
        b"\xdf\xff\xff\xff\xff",
    ],
)
def test_what_is_not_flaxs(tmp_path, tree):
    (tmp_path / "x.msgpack").write_bytes(tree)
    with pytest.raises(UserError, match=r"is damaged or not Flax's \(.*\): download it again\.$"):
        read_tensors(tmp_path / "x.msgpack")
