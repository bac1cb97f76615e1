"""The export command."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from common.errors import UserError
from common.weights.files import write_tensors
from mcti_jax.export import export
from mcti_jax.formats import FORMATS, LearnedToken, read_tokens, write_token

ROOT = Path(__file__).resolve().parents[2]
WORDS = ("<dog>", "<dog2>")


@pytest.fixture
def workdir(tmp_path):
    for row, word in enumerate(WORDS):
        vectors = np.full((row + 1, 8), row + 0.1, np.float32)
        write_token(tmp_path / "run" / "tokens", LearnedToken(word, vectors), "diffusers")
    return tmp_path / "run"


def run(*options):
    command = [sys.executable, "-m", "mcti_jax.export", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_command_writes_one_file_per_class_and_prints_the_words(workdir, tmp_path):
    out = tmp_path / "out"
    done = run(f"--workdir={workdir}", "--format=a1111", f"--out={out}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"{out}/dog.pt: type dog in a web UI, embedding:dog in ComfyUI, <dog> in diffusers",
        f"{out}/dog2.pt: type dog2 in a web UI, embedding:dog2 in ComfyUI, <dog2> in diffusers",
    ]
    assert sorted(path.name for path in out.iterdir()) == ["dog.pt", "dog2.pt"]


def test_command_ends_bad_input_with_one_sentence(workdir, tmp_path):
    done = run(f"--workdir={workdir}", "--format=onnx", f"--out={tmp_path / 'out'}")
    assert done.returncode == 2
    assert "onnx" in done.stderr
    assert "diffusers" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_prefix_is_of_words_alone(workdir, tmp_path):
    options = "--format=classes", f"--out={tmp_path / 'out'}", "--prefix=my-"
    done = run(f"--workdir={workdir}", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--prefix=my- begins words, and --format=classes writes none" in done.stderr


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_holds_the_runs_vectors(workdir, tmp_path, name):
    usage = export(workdir, name, tmp_path / "out")
    assert all(word in text for word, text in zip(WORDS, usage.values(), strict=True))
    before, after = read_tokens(workdir / "tokens"), read_tokens(tmp_path / "out")
    for old, new in zip(before, after, strict=True):
        assert old.token == new.token
        np.testing.assert_array_equal(old.vectors, new.vectors)


def test_same_export_twice(workdir, tmp_path):
    assert export(workdir, "kohya", tmp_path) == export(workdir, "kohya", tmp_path)


def refuse(sentence, workdir, name, out):
    before = sorted(out.parent.rglob("*"))
    with pytest.raises(UserError, match=sentence):
        export(workdir, name, out)
    assert sorted(out.parent.rglob("*")) == before


def test_workdir_without_tokens(tmp_path):
    (tmp_path / "empty" / "tokens").mkdir(parents=True)
    refuse("train some first", tmp_path / "absent", "diffusers", tmp_path / "out")
    refuse("holds no learned tokens", tmp_path / "empty", "diffusers", tmp_path / "out")


def test_unknown_format(workdir, tmp_path):
    refuse("--format='onnx' is unknown", workdir, "onnx", tmp_path / "out")


def test_out_is_a_file(workdir, tmp_path):
    (tmp_path / "out").write_text("mine")
    refuse("is a file", workdir, "diffusers", tmp_path / "out")
    refuse("is a file", workdir, "diffusers", tmp_path / "out" / "below")
    assert (tmp_path / "out").read_text() == "mine"


def test_out_is_the_runs_own_folder(workdir):
    refuse("own tokens", workdir, "kohya", workdir / "tokens")


def test_words_that_would_share_a_file(workdir, tmp_path):
    vectors = {f"<{word}>": np.ones((1, 8), np.float32) for word in ("a_b", "a-b")}
    write_tensors(workdir / "tokens" / "more.safetensors", vectors, {})
    refuse("would share a file", workdir, "diffusers", tmp_path / "out")


def test_one_bad_token_stops_the_export(workdir, tmp_path):
    (workdir / "tokens" / "zebra.safetensors").write_bytes(b"half a file")
    refuse("zebra", workdir, "diffusers", tmp_path / "out")
