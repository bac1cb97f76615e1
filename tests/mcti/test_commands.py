"""The commands from end to end, as a user types them, on tiny models with random weights.

Where a process of its own is not what is tested, a command runs in that of the tests, which has
imported everything.
"""

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file

import mcti_jax
from common.data import open_dataset
from common.diffusion import load_stable_diffusion
from common.errors import UserError
from common.evaluation.figures import image_grid
from common.weights.files import write_tensors
from mcti_jax import generate
from tests.conftest import QUICKLY
from tests.hostile import commands
from tests.mcti.tiny_models import write_tiny_models
from tests.older import older_copy

pytestmark = pytest.mark.usefixtures("quick_compiler", "shapes_found_once")
ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "configs" / "mcti.py"
CLASSES, SHOTS = 3, 3


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """Tiny models and a folder of photos of three classes."""
    directory = tmp_path_factory.mktemp("world")
    write_tiny_models(directory)
    generator = np.random.default_rng(0)
    for name in ("red dog", "dog2", "cat"):
        colour = generator.integers(0, 256, 3)
        for shot in range(SHOTS + 1):
            noise = generator.integers(-30, 30, (20, 24, 3))
            photo = Image.fromarray(np.clip(colour + noise, 0, 255).astype(np.uint8))
            (directory / "photos" / name).mkdir(parents=True, exist_ok=True)
            photo.save(directory / "photos" / name / f"{shot}.png")
    return directory


def config(world: Path, **changes: object) -> str:
    fields = {
        "model": world / "sd",
        "clip": world / "clip",
        "data": f"folder:{world / 'photos'}",
        "shots": SHOTS,
        "updates": 12,
        "steps_per_call": 2,
        "log_every": 4,
        "save_every": 4,
        "samples": 2,
        "learning_rate": 0.01,
        "cache": world / "features",
        "compile_cache": world / "xla",
        "mesh.data": 1,
        "generate.per_class": 1,
        "generate.rows": 2,
        "generate.steps": 2,
        **changes,
    }
    arg = ",".join(f"{key}={value}" for key, value in fields.items())
    return f"{FILE}:{arg}"


def start(command: str, *options: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", f"mcti_jax.{command}", *options],
        cwd=ROOT,
        env=QUICKLY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(command: str, *options: str) -> commands.CommandResult:
    return commands.run(f"mcti_jax.{command}", *options)


@pytest.fixture(scope="module")
def finished(world) -> Path:
    """A finished run."""
    workdir = world / "run"
    process = start("train", f"--config={config(world)}", f"--workdir={workdir}")
    _, err = process.communicate()
    assert process.returncode == 0, err
    return workdir


def picture_size(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def token_bytes(workdir: Path) -> dict[str, bytes]:
    files = sorted((workdir / "tokens").glob("*.safetensors"))
    return {path.stem: next(iter(load_file(path).values())).tobytes() for path in files}


def test_a_run_writes_what_the_contract_says(finished):
    result = json.loads((finished / "result.json").read_text())
    expected = {"method", "dataset", "model", "seed", "metrics", "baselines", "seconds", "versions"}
    assert expected <= set(result)
    assert result["method"] == "mcti"
    rows = {"ti", "nearest_class_mean", "nearest_neighbour", "linear_probe", "names"}
    assert rows <= set(result["baselines"])
    assert {"accuracy", "class_accuracy", "generated/accuracy", "drift/norm"} <= set(
        result["metrics"]
    )
    lines = [json.loads(x) for x in (finished / "metrics.jsonl").read_text().splitlines()]
    assert {line["step"] for line in lines} == {4, 8, 12}
    assert sorted(token_bytes(finished)) == ["cat", "dog2", "red-dog"]
    width, height = picture_size(finished / "samples.png")
    assert width > 100 and 2 * 96 < height < 3 * 96  # Two of three classes have a row.
    assert picture_size(finished / "confusion.png")[0] > 100
    assert list(finished.glob("events.out.tfevents.*"))
    assert json.loads((finished / "config.json").read_text())["updates"] == 12


def test_a_finished_run_says_so(world, finished):
    before = token_bytes(finished)
    again = run("train", f"--config={config(world)}", f"--workdir={finished}")
    assert again.status == 0
    assert "finished" in again.out and "wrote" not in again.out
    files = "tokens, samples.png, confusion.png"
    assert f"all results in {finished}: result.json, {files}\n" in again.out
    assert token_bytes(finished) == before


def test_a_lost_token_is_written_again_by_the_same_command(world, finished, tmp_path):
    workdir = shutil.copytree(finished, tmp_path / "run")
    (workdir / "tokens" / "dog2.safetensors").unlink()
    lost = run("classify", f"--workdir={workdir}", f"--images={world / 'photos'}")
    assert lost.status == 2
    assert "2 of 3 classes and lacks dog2.safetensors (class 1, 'dog2')" in lost.err
    again = run("train", f"--config={config(world)}", f"--workdir={workdir}")
    assert again.status == 0, again.err
    assert token_bytes(workdir) == token_bytes(finished)


@pytest.mark.multiprocess
def test_a_killed_run_ends_with_the_same_bytes(world, finished):
    workdir = world / "killed"
    # Pictures cost most of the time, and are not compared.
    options = (f"--config={config(world)},generate.per_class=0", f"--workdir={workdir}")
    process = start("train", *options)
    while not (workdir / "checkpoints" / "00000004").exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (workdir / "result.json").exists(), "the run ended before it could be killed"
    resumed = start("train", *options)
    out, err = resumed.communicate()
    assert resumed.returncode == 0, err
    assert "Resuming" in out
    assert token_bytes(workdir) == token_bytes(finished)


def test_evaluate_repeats_the_numbers_of_an_older_run(finished, tmp_path):
    workdir = older_copy(finished, tmp_path / "older", "remat", "generate.batch")
    done = run("evaluate", f"--workdir={workdir}")
    assert done.status == 0, done.err
    assert "is older than some fields" in done.out and "remat=" in done.out
    (file,) = (workdir / "eval").glob("*.json")
    found = json.loads(file.read_text())["metrics"]
    result = json.loads((finished / "result.json").read_text())["metrics"]
    assert found["accuracy"] == result["accuracy"]
    assert found["drift/norm"] == pytest.approx(result["drift/norm"], rel=1e-6)
    tokens = json.loads(file.read_text())["details"]["tokens"]
    assert [token["word"] for token in tokens] == ["<cat>", "<dog2>", "<red-dog>"]
    for token in tokens:
        word, cosine = token["nearest"][0]
        assert f"{word} {cosine:.2f}" in done.out


def test_all_photos_may_be_trained_on(world, finished):
    """Without test photos there is no accuracy, but all the rest."""
    workdir = world / "untested"
    options = config(world, holdout=0, shots=SHOTS + 1, updates=4)
    done = run("train", f"--config={options}", f"--workdir={workdir}")
    assert done.status == 0, done.err
    assert "no accuracy is measured" in done.out
    result = json.loads((workdir / "result.json").read_text())
    assert {"generated/accuracy_by_photos", "drift/norm"} <= set(result["metrics"])
    assert not {"accuracy", "class_accuracy"} & set(result["metrics"])
    assert set(result["baselines"]) == {"ti"}
    assert sorted(token_bytes(workdir)) == ["cat", "dog2", "red-dog"]
    assert picture_size(workdir / "samples.png")[0] > 100
    refused = run("evaluate", f"--workdir={workdir}", f"--data=folder:{world / 'photos'}")
    assert refused.status == 2
    assert "has no test photos" in refused.err


def test_evaluate_says_that_the_photos_have_changed(world, finished, tmp_path):
    last = world / "photos" / "cat" / f"{SHOTS}.png"
    kept = last.rename(tmp_path / last.name)
    try:
        done = run("evaluate", f"--workdir={finished}")
    finally:
        kept.rename(last)
    assert done.status == 0, done.err
    assert "have changed since it learned from them" in done.out
    unchanged = run("evaluate", f"--workdir={finished}")
    assert "have changed" not in unchanged.out + unchanged.err
    assert "is not what it learned with" not in unchanged.out


def test_evaluate_says_that_a_model_has_changed(world, finished):
    file = world / "clip" / "model.safetensors"
    kept = file.read_bytes()
    write_tensors(file, {n: np.asarray(1.01 * x, x.dtype) for n, x in load_file(file).items()})
    try:
        done = run("evaluate", f"--workdir={finished}", f"--data=folder:{world / 'photos'}")
    finally:
        file.write_bytes(kept)
    assert done.status == 0, done.err
    assert f"The clip of {finished} is not what it learned with (weights " in done.out


def test_generate_composes_tokens(finished, tmp_path):
    out = tmp_path / "beach.png"
    prompt = "a photo of <dog2> on a <red-dog>"
    options = (f"--workdir={finished}", f"--prompt={prompt}", "--steps=2", "--num=2")
    done = run("generate", *options, f"--out={out}")
    assert done.status == 0, done.err
    assert picture_size(out)[0] > 100
    again = tmp_path / "again.png"
    done = run("generate", f"--again={out}", f"--workdir={finished}", f"--out={again}")
    assert done.status == 0, done.err
    assert again.read_bytes() == out.read_bytes()


@pytest.mark.parametrize(
    ("command", "options", "sentence"),
    [
        ("train", ["--workdir={tmp}/x"], "--config"),
        ("train", ["--config={file}:updats=3", "--workdir={tmp}/x"], "updates"),
        ("train", ["--config={file}:data=folder:none", "--workdir={tmp}/x"], "none"),
        ("train", ["--config={config},init_word=red dog", "--workdir={tmp}/x"], "init_word"),
        ("train", ["--config={config},alpha=0,gamma=0", "--workdir={tmp}/x"], "alpha=0"),
        ("train", ["--config={config},pool=mean", "--workdir={tmp}/x"], "placeholder"),
        ("train", ["--config={config},resolution=30", "--workdir={tmp}/x"], "resolution=30"),
        ("evaluate", ["--workdir={tmp}/x"], "holds no run"),
        ("generate", ["--workdir={tmp}/x", "--prompt=a", "--out={tmp}/x.png"], "holds no run"),
        ("generate", ["--workdir={run}", "--prompt=<fox>", "--out={tmp}/x.png"], "<cat>"),
        ("generate", ["--workdir={run}", "--prompt=<cat>", "--out={tmp}/x.bmp"], ".png"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(
    world, finished, tmp_path, command, options, sentence
):
    known = {"tmp": tmp_path, "run": finished, "config": config(world), "file": FILE}
    done = run(command, *(option.format(**known) for option in options))
    assert done.status == 2
    assert done.err.strip().splitlines()[-1].startswith("error: ")
    assert sentence in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "x").exists(), "something was written"


def test_in_python_a_run_classifies_as_it_was_measured(world, finished):
    run = mcti_jax.load(str(finished))
    dataset = open_dataset(f"folder:{world / 'photos'}")
    found = run.classify([dataset.test.load(row) for row in range(len(dataset.test))])
    result = json.loads((finished / "result.json").read_text())
    assert found.classnames == dataset.classnames == run.classnames
    assert np.mean(found.labels == dataset.test.labels) == result["metrics"]["accuracy"]
    paths = [str(path) for path in sorted((world / "photos" / "cat").glob("*.png"))]
    assert len(run.classify(paths).names) == SHOTS + 1


def test_the_command_classifies_as_python_does(world, finished, tmp_path):
    out = tmp_path / "answers.csv"
    done = run("classify", f"--workdir={finished}", f"--images={world / 'photos'}", f"--out={out}")
    assert done.status == 0, done.err
    records = list(csv.DictReader(out.read_text().splitlines()))
    predictions = mcti_jax.load(finished).classify([record["image"] for record in records])
    assert [record["name"] for record in records] == predictions.names
    assert len(records) == 3 * (SHOTS + 1)
    best = predictions.probabilities.max(axis=1)
    np.testing.assert_allclose([float(r["probability"]) for r in records], best, atol=1e-6)


def test_the_exported_classifier_is_the_run_s(world, finished, tmp_path):
    done = run("export", f"--workdir={finished}", f"--out={tmp_path}", "--format=classes")
    assert done.status == 0, done.err
    tensors = load_file(tmp_path / "classes.safetensors")
    learned = mcti_jax.load(finished)
    np.testing.assert_array_equal(tensors["class_embeddings"], learned.class_features)
    with safe_open(tmp_path / "classes.safetensors", "numpy") as file:
        assert json.loads(file.metadata()["classes"]) == list(learned.classnames)
    photos = sorted((world / "photos" / "cat").glob("*.png"))
    scores = learned.clip.image_features(photos) @ tensors["class_embeddings"].T
    assert scores.argmax(1).tolist() == learned.classify(photos).labels.tolist()


def test_in_python_too_a_word_without_brackets_is_told(finished, capsys):
    mcti_jax.load(finished).draw("a photo of dog2", steps=1)
    assert "'a photo of dog2' is drawn without <dog2>, which" in capsys.readouterr().out


def test_in_python_a_run_draws_what_the_command_draws(finished):
    prompts, options = ["a photo of <dog2>", "<red-dog> on a <cat>"], {"steps": 2, "seed": 2**40}
    sheet = generate.draw(finished, prompts, num=3, **options)
    run = mcti_jax.load(finished)
    pictures = np.stack([np.asarray(picture) for picture in run.draw(prompts, 3, **options)])
    np.testing.assert_array_equal(
        image_grid(pictures.reshape(2, 3, *pictures.shape[1:]), prompts), sheet
    )

    tokens = mcti_jax.load_tokens(finished / "tokens")
    config = json.loads((finished / "config.json").read_text())
    again = load_stable_diffusion(config["model"]).draw(
        prompts, 3, tokens=tokens, guidance=config["generate"]["guidance"], **options
    )
    np.testing.assert_array_equal(np.stack([np.asarray(picture) for picture in again]), pictures)


def test_in_python_too_bad_input_is_one_sentence(world, finished, tmp_path):
    with pytest.raises(UserError, match="holds no run"):
        mcti_jax.load(tmp_path)
    run = mcti_jax.load(finished)
    with pytest.raises(UserError, match=r"<fox> was not learned; the words are <cat>, <dog2>"):
        run.draw("a <fox>")
    with pytest.raises(UserError, match=r"photos\[0\] \(no.png\)"):
        run.classify(["no.png"])
