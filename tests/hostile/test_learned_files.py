"""Prompts and heads of strangers' runs: damaged, poisoned, or of another model's sizes."""

import numpy as np
import pytest

from aape_jax.core.heads_file import read_head, require_fit, write_head
from common.clip import load_clip
from common.errors import UserError
from common.weights.files import write_tensors
from protext_jax.files import read_prompts
from protext_jax.learned import FORMAT

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 99\n"


@pytest.fixture(scope="module")
def clip():
    return load_clip("pocket")


def facts(clip, **changes):
    known = {"format": FORMAT, "base_model": "pocket", "template": "a {}.", "seed": "0"}
    return known | {"fingerprint": clip.fingerprint} | changes


def prompts(*shape, value=0.0):
    return {"prompts": np.full(shape, value, np.float32)}


def adapter(**shapes):
    return {f"adapter/{name}": np.zeros(shape, np.float32) for name, shape in shapes.items()}


def test_what_a_run_writes_fits(clip, tmp_path):
    for arrays in (prompts(3, 4, 128), adapter(kernel=(128, 128), bias=(128,))):
        write_tensors(tmp_path / "x.safetensors", arrays, facts(clip))
        read_prompts(tmp_path / "x.safetensors").require_model(clip)


UNFIT = {
    "a width of another model": prompts(3, 4, 768),
    "more blocks than the tower": prompts(99, 4, 128),
    "no block": prompts(0, 4, 128),
    "two axes": prompts(4, 128),
    "four axes": prompts(1, 3, 4, 128),
    "another array": {"x": np.zeros((3, 4, 128), np.float32)},
    "prompts and an adapter": prompts(3, 4, 128) | adapter(kernel=(128, 128), bias=(128,)),
    "an adapter without a bias": adapter(kernel=(128, 128)),
    "an adapter of another width": adapter(kernel=(768, 768), bias=(768,)),
    "nothing": {},
}


@pytest.mark.parametrize("arrays", UNFIT.values(), ids=UNFIT)
def test_prompts_that_no_run_with_this_model_writes(clip, tmp_path, arrays):
    write_tensors(tmp_path / "x.safetensors", arrays, facts(clip))
    with pytest.raises(UserError, match=r"which a text tower of width 128 .* cannot have"):
        read_prompts(tmp_path / "x.safetensors").require_model(clip)


@pytest.mark.parametrize("name", ["fingerprint", "base_model", "template", "seed"])
def test_prompts_without_a_fact(clip, tmp_path, name):
    known = facts(clip)
    del known[name]
    write_tensors(tmp_path / "x.safetensors", prompts(3, 4, 128), known)
    with pytest.raises(UserError, match=f"does not say their {name}"):
        read_prompts(tmp_path / "x.safetensors").require_model(clip)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_prompts_and_heads_with_nan(clip, tmp_path, value):
    write_tensors(tmp_path / "x.safetensors", prompts(3, 4, 128, value=value), facts(clip))
    with pytest.raises(UserError, match="holds NaN or infinite numbers in 'prompts'"):
        read_prompts(tmp_path / "x.safetensors")
    write_head(tmp_path / "h.safetensors", {"a": {"b": np.full(2, value, np.float32)}})
    with pytest.raises(UserError, match="holds NaN or infinite numbers in 'a/b'"):
        read_head(tmp_path / "h.safetensors")


DAMAGED = {
    "nothing": b"",
    "a header beyond the file": b"\xff" * 64,
    "a pointer of Git-LFS": LFS,
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(64),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
@pytest.mark.parametrize("read", [read_prompts, read_head])
def test_damaged_files(tmp_path, content, read):
    file = tmp_path / "x.safetensors"
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"not a safetensors file|Git-LFS pointer"):
        read(file)


HEADS = {
    "another width": {"generator": {"kernel": np.zeros((3, 5))}},
    "another part": {"projection": {"kernel": np.zeros((3, 4))}},
    "a part more": {"generator": {"kernel": np.zeros((3, 4)), "bias": np.zeros(4)}},
    "nothing": {},
}


@pytest.mark.parametrize("params", HEADS.values(), ids=HEADS)
def test_heads_of_other_sizes(params):
    fresh = {"generator": {"kernel": np.zeros((3, 4), np.float32)}}
    require_fit("aape", fresh, fresh)
    with pytest.raises(UserError, match=r"the head 'aape' has .* but the model and the run's"):
        require_fit("aape", params, fresh)


def test_a_head_with_a_tensor_in_anothers_place(tmp_path):
    x = np.zeros(1, np.float32)
    write_tensors(tmp_path / "h.safetensors", {"a": x, "a/b": x}, {})
    with pytest.raises(UserError, match="is in another tensor's place"):
        read_head(tmp_path / "h.safetensors")
