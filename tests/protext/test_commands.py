"""The commands from end to end, as a user types them, on the bundled CLIP.

Only training has a process of its own; the others run in that of the tests, which has imported
everything.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file

import protext_jax
from common.clip.class_file import read_class_features
from tests.conftest import QUICKLY
from tests.hostile import commands
from tests.older import older_copy

pytestmark = pytest.mark.usefixtures("quick_compiler")
ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "configs" / "protext.py"
CORPUS = {
    "red star": ["A red star.", "The star is red.", "A star."],
    "fish": ["A fish with orange stripes.", "A fish.", "The fish swims."],
    "blue_circle": ["A circle that is blue.", "A blue circle.", "A circle."],
}


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """A corpus and features of pictures that there never were."""
    directory = tmp_path_factory.mktemp("protext")
    (directory / "corpus.json").write_text(json.dumps(CORPUS))
    rng = np.random.default_rng(0)
    for width, name in ((128, "features"), (64, "narrow")):
        np.savez(
            directory / f"{name}.npz",
            features=rng.standard_normal((12, width)).astype(np.float32),
            labels=np.repeat(np.arange(3), 4),
            classnames=np.array(list(CORPUS)),
        )
    return directory


def config(world: Path, **changes: object) -> str:
    fields = {
        "prompts.source": world / "corpus.json",
        "data": f"features:{world / 'features.npz'}",
        "protocol": "all_classes",
        "held_out": 1,
        "epochs": 8,
        "steps_per_call": 2,
        "log_every": 4,
        "save_every": 4,
        "cache": world / "features",
        "compile_cache": world / "xla",
        "mesh.data": 1,
        **changes,
    }
    arg = ",".join(f"{key}={value}" for key, value in fields.items())
    return f"{FILE}:{arg}"


def run(command: str, *options: str) -> commands.CommandResult:
    return commands.run(f"protext_jax.{command}", *options)


@pytest.fixture(scope="module")
def finished(world) -> Path:
    """A finished run."""
    workdir = world / "run"
    line = ["-m", "protext_jax.train", f"--config={config(world)}", f"--workdir={workdir}"]
    done = subprocess.run(
        [sys.executable, *line], cwd=ROOT, env=QUICKLY, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return workdir


def test_a_run_writes_what_the_contract_says(finished):
    result = json.loads((finished / "result.json").read_text())
    assert result["method"] == "protext" and result["updates"] == 8
    rows = {"clip", "clip_80", "cupl", "attributes", "waffle_clip", "protext_cupl"}
    assert set(result["baselines"]) == rows
    assert {"accuracy", "text/cosine", "text/retrieval_accuracy"} <= set(result["metrics"])
    lines = [json.loads(x) for x in (finished / "metrics.jsonl").read_text().splitlines()]
    assert {line["step"] for line in lines} == {4, 8}
    assert all("cosine" in line for line in lines if "loss" in line)
    assert load_file(finished / "prompts.safetensors")["prompts"].shape == (3, 4, 128)
    assert (finished / "similarity.png").stat().st_size > 100
    assert json.loads((finished / "config.json").read_text())["updates"] == 8


@pytest.mark.parametrize("override", ["", "--config.protocol=supervised"])
def test_a_finished_run_says_so(world, finished, override):
    options = filter(None, [f"--config={config(world)}", override, f"--workdir={finished}"])
    again = run("train", *options)
    assert again.status == 0 and "finished" in again.out
    assert ("is called protocol=all_classes today" in again.out) == bool(override)


def test_lost_prompts_are_written_again_by_the_same_command(world, finished, tmp_path):
    workdir = shutil.copytree(finished, tmp_path / "run")
    (workdir / "prompts.safetensors").unlink()
    again = run("train", f"--config={config(world)}", f"--workdir={workdir}")
    assert again.status == 0, again.err
    assert "saved from its checkpoint" in again.out
    files = [folder / "prompts.safetensors" for folder in (workdir, finished)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_evaluate_repeats_the_numbers_of_an_older_run(finished, tmp_path):
    gone, spelled = ("holdout", "faithful.half"), {"protocol": "supervised"}
    workdir = older_copy(finished, tmp_path / "older", *gone, **spelled)
    done = run("evaluate", f"--workdir={workdir}")
    assert done.status == 0, done.err
    assert "is older than some fields" in done.out and "holdout=" in done.out
    assert done.out.count("protocol=supervised is called protocol=all_classes today") == 1
    (file,) = (workdir / "eval").glob("*.json")
    found = json.loads(file.read_text())
    result = json.loads((finished / "result.json").read_text())
    assert found["metrics"] == pytest.approx(result["metrics"], rel=1e-6)
    assert set(found["baselines"]) == set(result["baselines"])
    for name, numbers in found["baselines"].items():
        assert numbers == pytest.approx(result["baselines"][name], rel=1e-6)


def test_evaluate_says_where_cupl_is_clip(world, finished, tmp_path):
    with np.load(world / "features.npz") as known:
        names = ["red star", "fish", "ant"]
        np.savez(tmp_path / "ants.npz", **{**known, "classnames": np.array(names)})
    workdir = shutil.copytree(finished, tmp_path / "run")
    before = set((workdir / "eval").glob("*.json"))
    done = run("evaluate", f"--workdir={workdir}", f"--data=features:{tmp_path / 'ants.npz'}")
    assert done.status == 0, done.err
    line = "cupl has clip's number where classes are without sentences: the test (1 of 3)."
    assert line in done.out.splitlines()
    (file,) = set((workdir / "eval").glob("*.json")) - before
    found = json.loads(file.read_text())
    assert found["details"]["remarks"] == [line]
    assert found["baselines"]["cupl"]["accuracy"] == found["baselines"]["clip"]["accuracy"]


def test_evaluate_says_that_the_sentences_have_changed(world, finished):
    corpus = world / "corpus.json"
    corpus.write_text(json.dumps(CORPUS | {"fish": ["A fish is wet.", *CORPUS["fish"]]}))
    try:
        done = run("evaluate", f"--workdir={finished}")
    finally:
        corpus.write_text(json.dumps(CORPUS))
    assert done.status == 0, done.err
    assert "have changed since it learned from them" in done.out
    unchanged = run("evaluate", f"--workdir={finished}")
    assert "have changed" not in unchanged.out + unchanged.err


def test_export_gives_features_of_any_classes(finished, tmp_path):
    names, out = tmp_path / "names.json", tmp_path / "classes.safetensors"
    names.write_text(json.dumps(["green fish", "heart"]))
    done = run("export", f"--workdir={finished}", "--run=0", f"--classes={names}", f"--out={out}")
    assert done.status == 0, done.err
    features = load_file(out)["class_embeddings"]
    assert features.shape == (2, 128)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, rtol=1e-5)
    with safe_open(out, framework="numpy") as file:
        assert json.loads(file.metadata()["classes"]) == ["green fish", "heart"]


def test_export_and_python_make_one_classifier(finished, tmp_path):
    workdir, out = shutil.copytree(finished, tmp_path / "run"), tmp_path / "classes.safetensors"
    settings = json.loads((workdir / "config.json").read_text())
    template = "a photo of a huge {}."
    (workdir / "config.json").write_text(json.dumps({**settings, "test_template": template}))
    done = run("export", f"--workdir={workdir}", f"--out={out}")
    assert done.status == 0, done.err
    written, learned = read_class_features(out), protext_jax.load(workdir)
    assert (written.classnames, written.metadata["template"]) == (learned.classnames, template)
    np.testing.assert_allclose(written.features, learned.class_features(), atol=1e-6)


def test_export_refuses_an_empty_name(finished, tmp_path):
    (tmp_path / "names.json").write_text('["cat", "_"]')
    names, out = f"--classes={tmp_path / 'names.json'}", tmp_path / "classes.safetensors"
    done = run("export", f"--workdir={finished}", names, f"--out={out}")
    assert done.status == 2 and "has an empty name, '_'" in done.err and not out.exists()


def test_interpret_names_words(finished):
    done = run("interpret", f"--workdir={finished}", "--words=2")
    assert done.status == 0, done.err
    assert len(done.out.splitlines()) == 2 + 3 * 4


@pytest.mark.parametrize(
    ("command", "options", "sentence"),
    [
        ("train", ["--config={config},prompts.source=none.json", "--workdir={tmp}/x"], "none.json"),
        ("train", ["--config={config},length=9,template=a {{}}.", "--workdir={tmp}/x"], "length=9"),
        (
            "train",
            ["--config={config},data=features:{world}/narrow.npz", "--workdir={tmp}/x"],
            "64",
        ),
        ("evaluate", ["--workdir={tmp}/x"], "holds no run"),
        (
            "export",
            ["--workdir={run}", "--template={{}} x", "--out={tmp}/x.safetensors"],
            "overwrite",
        ),
        (
            "export",
            ["--workdir={run}", "--run=1", "--out={tmp}/x.safetensors"],
            "give 0, or leave it out",
        ),
        ("evaluate", ["--workdir={run}", "--run=9"], "--run=9 is not a run of"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(
    world, finished, tmp_path, command, options, sentence
):
    known = {"tmp": tmp_path, "run": finished, "config": config(world), "world": world}
    done = run(command, *(option.format(**known) for option in options))
    assert done.status == 2
    assert done.err.strip().splitlines()[-1].startswith("error: ")
    assert sentence in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "x").exists(), "something was written"


def test_photos_are_classified_among_names_of_one_s_own(finished, tmp_path):
    Image.new("RGB", (32, 32), "red").save(tmp_path / "photo.png")
    (tmp_path / "names.json").write_text('["red star", "blue heart", "green fish"]')
    out = tmp_path / "answers.json"
    done = run(
        "classify",
        f"--workdir={finished}",
        f"--images={tmp_path / 'photo.png'}",
        f"--classes={tmp_path / 'names.json'}",
        f"--out={out}",
    )
    assert done.status == 0, done.err
    (answer,) = json.loads(out.read_text())
    assert answer["name"] == "red star"
    assert answer["second"] in ("blue heart", "green fish")
