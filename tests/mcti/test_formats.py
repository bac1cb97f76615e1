"""Files of learned tokens, as they are written."""

import re
import zipfile

import numpy as np
import pytest
from safetensors.numpy import load_file

from common.errors import UserError
from mcti_jax.formats import FORMATS, Format, LearnedToken, read_tokens, write_token
from mcti_jax.formats.torch_archive import torch_archive
from tests.mcti.some_token import METADATA, some_token


@pytest.mark.parametrize("vectors", [1, 3])
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_keeps_word_and_vectors(tmp_path, name, vectors):
    token = some_token(vectors=vectors)
    path = write_token(tmp_path, token, name)
    assert path == tmp_path / f"dog2{FORMATS[name].suffix}"
    assert list(tmp_path.iterdir()) == [path]
    [held] = read_tokens(path)
    assert held.token == "<dog2>"
    assert held.vectors.dtype == np.float32
    np.testing.assert_array_equal(held.vectors, token.vectors)


@pytest.mark.parametrize("name", FORMATS)
def test_vectors_may_lie_anyhow_in_memory(tmp_path, name):
    grid = np.arange(48, dtype=np.float32).reshape(8, 6)
    vectors = grid.T[::2]
    [held] = read_tokens(write_token(tmp_path, LearnedToken("<a>", vectors), name))
    np.testing.assert_array_equal(held.vectors, vectors)


@pytest.mark.parametrize("name", ["diffusers", "kohya"])
def test_safetensors_keep_all_metadata(tmp_path, name):
    [held] = read_tokens(write_token(tmp_path, some_token(), name))
    assert held.metadata == METADATA


def test_web_ui_file_keeps_step_and_base_model(tmp_path):
    [held] = read_tokens(write_token(tmp_path, some_token(), "a1111"))
    assert held.metadata == {"step": "300", "base_model": "pocket"}


@pytest.mark.parametrize(("name", "key"), [("diffusers", "<dog2>"), ("kohya", "emb_params")])
def test_safetensors_hold_one_key(tmp_path, name, key):
    tensors = load_file(write_token(tmp_path, some_token(), name))
    assert {k: v.shape for k, v in tensors.items()} == {key: (1, 8)}


@pytest.mark.parametrize("name", ["a1111", "bin"])
def test_torch_files_are_deterministic_and_hold_only_known_members(tmp_path, name):
    first = write_token(tmp_path / "first", some_token(), name)
    second = write_token(tmp_path / "second", some_token(), name)
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["archive/data.pkl", "archive/data/0", "archive/version"]
        known = re.compile(r"[^/]+/(data/\d+|version|data\.pkl)")  # what web UIs let pass
        assert all(known.fullmatch(member) for member in archive.namelist())
        assert archive.read("archive/data/0") == some_token().vectors.tobytes()


def test_torch_archive_refuses_what_it_cannot_hold():
    with pytest.raises(TypeError, match="list"):
        torch_archive({"tokens": ["<a>"]})


@pytest.mark.parametrize("held", [some_token("<cat>", 2), some_token("<dog>", 1)])
def test_write_checks_what_the_disk_holds(tmp_path, monkeypatch, held):
    encode = FORMATS["diffusers"].encode
    faulty = Format(".safetensors", lambda token: encode(held), usage="")
    monkeypatch.setitem(FORMATS, "faulty", faulty)
    with pytest.raises(UserError, match="does not hold what was written"):
        write_token(tmp_path, some_token("<dog>", 2), "faulty")
    assert list(tmp_path.iterdir()) == []


def test_write_names_the_known_formats(tmp_path):
    with pytest.raises(UserError, match=r"'onnx' is unknown.*diffusers, bin, a1111, kohya"):
        write_token(tmp_path, some_token(), "onnx")
