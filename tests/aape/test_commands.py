"""The commands from end to end, as a user types them, on files of features."""

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aape_jax.core.heads_file import read_head, read_heads
from aape_jax.retrieval import method as retrieval
from common.errors import UserError
from common.training import train
from common.training.method import find_method
from configs import aape_retrieval
from configs.aape import get_config
from tests.aape.caption_problem import untrained_clip
from tests.aape.feature_files import NAMES, PROMPTS, WIDTH, captioned, features, texts
from tests.aape.problem import vectors
from tests.conftest import QUICKLY
from tests.hostile import commands
from tests.older import older_copy

pytestmark = pytest.mark.usefixtures("quick_compiler")
ROOT = Path(__file__).resolve().parents[2]


def run(command: str, *options: str) -> subprocess.CompletedProcess:
    # Little is computed here, so the compiler need not try hard.
    line = [sys.executable, "-m", f"aape_jax.{command}", *options]
    return subprocess.run(line, cwd=ROOT, env=QUICKLY, capture_output=True, text=True)


def run_here(command: str, *options: str) -> commands.CommandResult:
    """What `run` does, without a new Python."""
    return commands.run(f"aape_jax.{command}", *options)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    features(folder), texts(folder), captioned(folder)
    return folder


def arguments(world: Path, **changes: object) -> str:
    fields = {
        "model": "",
        "data": f"features:{world / 'images.npz'}",
        "prompts.source": f"features:{world / 'texts.npz'}",
        "batch": 8,
        "subsample": "base",
        "shots": 4,
        "updates": 8,
        "steps_per_call": 2,
        "log_every": 2,
        "save_every": 4,
        "compare": "(with_g,)",
        "compile_cache": world / "xla",
        "mesh.data": 1,
        "cache": world / "features",
        **changes,
    }
    return ",".join(f"{key}={value}" for key, value in fields.items())


def train_here(world: Path, workdir: Path, **changes: object) -> dict:
    """What the command does, without a new Python."""
    config = get_config(arguments(world, **changes))
    return train(find_method(config), workdir)


@pytest.fixture(scope="module")
def finished(world) -> Path:
    workdir = world / "run"
    config = f"configs/aape.py:{arguments(world)}"
    done = run("train", f"--config={config}", f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    assert "coop is left out: it needs a text tower" in done.stdout
    return workdir


def test_a_run_writes_what_the_contract_says(finished):
    result = json.loads((finished / "result.json").read_text())
    expected = {"method", "dataset", "model", "seed", "metrics", "baselines", "seconds", "versions"}
    assert expected <= set(result)
    assert {"base/accuracy", "new/accuracy", "parameters"} <= set(result["metrics"])
    rows = {"clip", "cupl", "paper", "with_g"}
    rows |= {"nearest_class_mean", "linear_probe", "tip_adapter", "tip_adapter_f", "clip_adapter"}
    assert rows == set(result["baselines"])
    assert "new/accuracy" not in result["baselines"]["tip_adapter_f"]
    lines = [json.loads(x) for x in (finished / "metrics.jsonl").read_text().splitlines()]
    assert {line["step"] for line in lines} == {2, 4, 6, 8}
    watched = {"cos_pa_x", "cos_pa_pbar", "attention_entropy", "effective_prompts"}
    assert watched <= set(lines[0]) and {f"paper/{name}" for name in watched} <= set(lines[0])
    head = read_head(finished / "heads" / "aape.safetensors")
    assert set(head) == {"generator"}


def test_a_finished_run_says_so(world, finished, capsys):
    result = train_here(world, finished)
    assert result == json.loads((finished / "result.json").read_text())
    assert "finished" in capsys.readouterr().out


def test_a_lost_head_is_written_again_by_the_same_command(world, finished, tmp_path, capsys):
    workdir = shutil.copytree(finished, tmp_path / "run")
    (workdir / "heads" / "paper.safetensors").unlink()
    train_here(world, workdir)
    assert "saved from its checkpoint" in capsys.readouterr().out
    heads = [folder / "heads" / "paper.safetensors" for folder in (workdir, finished)]
    assert heads[0].read_bytes() == heads[1].read_bytes()


def test_evaluate_repeats_the_numbers_of_an_older_run(finished, tmp_path):
    workdir = older_copy(finished, tmp_path / "older", "holdout", "generator.residual")
    done = run_here("evaluate", f"--workdir={workdir}")
    assert done.status == 0, done.err
    assert "is older than some fields" in done.out and "holdout=" in done.out
    (file,) = (workdir / "eval").glob("*.json")
    found, result = (json.loads(f.read_text()) for f in (file, finished / "result.json"))
    for name in ("base/accuracy", "new/accuracy"):
        assert found["metrics"][name] == result["metrics"][name]
        assert found["baselines"]["paper"][name] == result["baselines"]["paper"][name]


@pytest.mark.parametrize(
    "change",
    [
        lambda world: features(world, shots=9),
        lambda world: texts(world, prompt_features=vectors(sum(PROMPTS), WIDTH, seed=7)),
    ],
)
def test_evaluate_says_that_the_data_have_changed(world, finished, change):
    change(world)
    try:
        done = run_here("evaluate", f"--workdir={finished}")
    finally:
        features(world)
        texts(world)
    assert done.status == 0, done.err
    assert "have changed since it learned from them" in done.out
    unchanged = run_here("evaluate", f"--workdir={finished}")
    assert "have changed" not in unchanged.out + unchanged.err


def retrieval_arguments(world: Path, **changes: object) -> str:
    fields = {
        "model": "",
        "data": f"features:{world / 'captions.npz'}",
        "batch": 8,
        "generator.hidden": 8,
        "updates": 4,
        "steps_per_call": 2,
        "log_every": 2,
        "save_every": 2,
        "queries_at_once": 8,
        "compare": "()",
        "compile_cache": world / "xla",
        "mesh.data": 1,
        **changes,
    }
    return ",".join(f"{key}={value}" for key, value in fields.items())


def retrieve_here(world: Path, workdir: Path, **changes: object) -> dict:
    config = aape_retrieval.get_config(retrieval_arguments(world, **changes))
    return train(find_method(config), workdir)


def test_retrieval_runs_and_another_run_starts_from_its_h(world):
    workdir = world / "retrieval"
    config = f"{ROOT / 'configs' / 'aape_retrieval.py'}:{retrieval_arguments(world)}"
    done = run_here("train", f"--config={config}", f"--workdir={workdir}")
    assert done.status == 0, done.err
    result = json.loads((workdir / "result.json").read_text())
    names = {f"{way}/recall_at_{k}" for way in ("image_to_text", "text_to_image") for k in (1, 5)}
    assert names <= set(result["metrics"])
    assert {"clip", "paper"} == set(result["baselines"])
    lacking = r"with_g.safetensors' is missing: its folder has those of 'aape', 'paper'\.$"
    with pytest.raises(UserError, match=lacking):
        read_heads(workdir, ["aape", "with_g"])
    # A rate of zero keeps what the run starts from.
    more = {"start": workdir, "learning_rate": 0.0, "weight_decay": 0.0}
    again = retrieve_here(world, world / "more", **more)
    for name in names:
        assert again["metrics"][name] == result["metrics"][name]


def test_retrieval_does_not_start_from_an_h_of_another_model(world, tmp_path, monkeypatch):
    def with_model(name):
        clip = dataclasses.replace(untrained_clip(), fingerprint=name)
        monkeypatch.setattr(retrieval, "clip_of", lambda _: clip)

    with_model("one")
    retrieve_here(world, tmp_path / "start", model="pocket")
    retrieve_here(world, tmp_path / "same", model="pocket", start=tmp_path / "start")
    with_model("other")
    sentence = r"was learned with another model \(weights one\) than this run's \(other\)"
    with pytest.raises(UserError, match=sentence):
        retrieve_here(world, tmp_path / "run", model="pocket", start=tmp_path / "start")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"start": "nowhere"},
            "nowhere/heads/aape.safetensors' is missing: train the run to its end first.",
        ),
        ({"aggregator.token": "class"}, "images have no classes here"),
    ],
)
def test_bad_input_of_retrieval(world, tmp_path, changes, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)):
        retrieve_here(world, tmp_path / "x", **changes)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"preset": "best"}, "preset='best' is unknown"),
        ({"compare": "(paper,x)"}, "compare='x' is unknown"),
        ({"baselines": "(x)"}, "baselines='x' is unknown"),
        ({"subsample": "half"}, "subsample='half' is unknown"),
        ({"views": 2}, "views=2 needs photos"),
        ({"prompts.source": "web"}, "prompts.source='web'"),
        ({"prompts.source": "features:none.npz"}, "none.npz"),
        ({"loss.lambda": "-2"}, "loss.lambda=-2.0 is out of range"),
        (
            {"prompts.per_template": 3},
            "prompts.per_template=3 changes nothing with prompts.source=features:",
        ),
        ({"schedule": "long"}, "schedule='long' is unknown"),
        ({"schedule": "short"}, "schedule=short sets updates="),
    ],
)
def test_bad_input_is_one_sentence_before_anything_is_written(world, tmp_path, changes, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)):
        train_here(world, tmp_path / "x", **changes)
    assert not (tmp_path / "x").exists()


def test_bad_input_ends_the_command_with_status_2(world, tmp_path):
    config = f"configs/aape.py:{arguments(world, preset='best')}"
    done = run("train", f"--config={config}", f"--workdir={tmp_path / 'x'}")
    assert done.returncode == 2
    assert "preset='best' is unknown" in done.stderr and "Traceback" not in done.stderr


def test_features_of_another_width(world, tmp_path):
    with np.load(world / "texts.npz") as file:
        arrays = dict(file)
    for name in ("class_features", "prompt_features"):
        arrays[name] = arrays[name][:, :12]
    np.savez(tmp_path / "narrow.npz", **arrays)
    corpus = f"features:{tmp_path / 'narrow.npz'}"
    with pytest.raises(UserError, match="have width 16 and the text features 12"):
        train_here(world, tmp_path / "x", **{"prompts.source": corpus})


def test_a_head_without_an_image_tower_cannot_see_photos(finished, tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "photo.png")
    done = run("classify", f"--workdir={finished}", f"--images={tmp_path}")
    assert done.returncode == 2
    assert "the run has model='', so no image tower for photos: ask aape_jax.pre" in done.stderr


def test_the_card_of_a_run_on_features_says_what_reads_it(finished, tmp_path):
    """No command does that asks for photos."""
    done = commands.run("common.publish", str(finished), f"--to={tmp_path / 'out'}")
    assert done.status == 0, done.err
    assert "features of its classes are not published" in done.out
    card = (tmp_path / "out" / "README.md").read_text()
    assert "aape_jax.classify" not in card and "classes.safetensors" not in card
    assert re.search(r"\| rows of features +\| 12 +\|", card), card
    example = re.search(r"```python\n(.*?)```", card, re.DOTALL).group(1)
    with np.load(finished.parent / "images.npz") as images:
        x = images["test_features"]
    with np.load(finished.parent / "texts.npz") as texts_file:
        w = texts_file["class_features"]
    known = {"x": x, "w": w}
    exec(example.replace("hf:USER/NAME", str(tmp_path / "out")), known)
    assert known["labels"].shape == (len(x),)


def test_a_run_on_features_is_not_measured_on_photos(finished, tmp_path):
    for name in NAMES:
        (tmp_path / name).mkdir()
        Image.new("RGB", (4, 4)).save(tmp_path / name / "photo.png")
    done = run_here("evaluate", f"--workdir={finished}", f"--data=folder:{tmp_path}")
    assert done.status == 2
    assert "no image tower for photos: give data=features:FILE.npz" in done.err
