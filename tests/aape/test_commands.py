"""The commands from end to end, as a user types them, on files of features."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from aape_jax.heads_file import read_head
from tests.aape.feature_files import captioned, features, texts

ROOT = Path(__file__).resolve().parents[2]


def run(command: str, *options: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "XLA_FLAGS": ""}
    line = [sys.executable, "-m", f"aape_jax.{command}", *options]
    return subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    features(folder), texts(folder), captioned(folder)
    return folder


def config(world: Path, **changes: object) -> str:
    fields = {
        "model": "",
        "data": f"features:{world / 'images.npz'}",
        "prompts.corpus": f"features:{world / 'texts.npz'}",
        "batch": 8,
        "shots": 4,
        "updates": 8,
        "steps_per_call": 2,
        "log_every": 2,
        "save_every": 4,
        "compile_cache": world / "xla",
        "cache": world / "features",
        **changes,
    }
    return "configs/aape.py:" + ",".join(f"{key}={value}" for key, value in fields.items())


@pytest.fixture(scope="module")
def finished(world) -> Path:
    workdir = world / "run"
    done = run("train", f"--config={config(world)}", f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    return workdir


def test_a_run_writes_what_the_contract_says(finished):
    result = json.loads((finished / "result.json").read_text())
    expected = {"method", "dataset", "model", "seed", "metrics", "baselines", "seconds", "versions"}
    assert expected <= set(result)
    assert {"accuracy_base", "accuracy_new", "parameters"} <= set(result["metrics"])
    rows = {"clip", "cupl", "paper", "no_distillation", "aape_only", "mean_prompt"}
    rows |= {"nearest_class_mean", "linear_probe", "tip_adapter", "tip_adapter_f", "clip_adapter"}
    assert rows == set(result["baselines"])
    assert "accuracy_new" not in result["baselines"]["tip_adapter_f"]
    lines = [json.loads(x) for x in (finished / "metrics.jsonl").read_text().splitlines()]
    assert {line["step"] for line in lines} == {2, 4, 6, 8}
    watched = {"cos_pa_x", "cos_pa_pbar", "attention_entropy", "effective_prompts"}
    assert watched <= set(lines[0]) and {f"paper/{name}" for name in watched} <= set(lines[0])
    head = read_head(finished / "heads" / "aape.safetensors")
    assert set(head) == {"generator", "projection"}


def test_a_finished_run_says_so(world, finished):
    again = run("train", f"--config={config(world)}", f"--workdir={finished}")
    assert again.returncode == 0 and "finished" in again.stdout


def test_evaluate_repeats_the_runs_numbers(finished):
    done = run("evaluate", f"--workdir={finished}")
    assert done.returncode == 0, done.stderr
    (file,) = (finished / "eval").glob("*.json")
    found, result = (json.loads(f.read_text()) for f in (file, finished / "result.json"))
    for name in ("accuracy_base", "accuracy_new"):
        assert found["metrics"][name] == result["metrics"][name]
        assert found["baselines"]["paper"][name] == result["baselines"]["paper"][name]


def test_retrieval_runs(world):
    workdir = world / "retrieval"
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
        "compile_cache": world / "xla",
    }
    arg = ",".join(f"{key}={value}" for key, value in fields.items())
    done = run("train", f"--config=configs/aape_retrieval.py:{arg}", f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    result = json.loads((workdir / "result.json").read_text())
    names = {f"{way}/recall_at_{k}" for way in ("image_to_text", "text_to_image") for k in (1, 5)}
    assert names <= set(result["metrics"])
    assert {"clip", "paper", "no_distillation", "mean_prompt"} == set(result["baselines"])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"preset": "best"}, "preset='best' is unknown"),
        ({"compare": "(paper,x)"}, "compare='x' is unknown"),
        ({"baselines": "(x)"}, "baselines='x' is unknown"),
        ({"subsample": "half"}, "subsample='half' is unknown"),
        ({"views": 2}, "views=2 needs photos"),
        ({"prompts.corpus": "web"}, "prompts.corpus='web'"),
        ({"prompts.corpus": "features:none.npz"}, "none.npz"),
        ({"loss.lambda": "-2"}, "loss.lambda=-2.0 is negative"),
        ({"schedule": "long"}, "schedule='long' is unknown"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(world, tmp_path, changes, sentence):
    workdir = tmp_path / "x"
    done = run("train", f"--config={config(world, **changes)}", f"--workdir={workdir}")
    assert done.returncode == 2
    assert sentence in done.stderr and "Traceback" not in done.stderr
    assert not workdir.exists(), "something was written"


def test_features_of_another_width(world, tmp_path):
    with np.load(world / "texts.npz") as file:
        arrays = dict(file)
    for name in ("class_features", "prompt_features"):
        arrays[name] = arrays[name][:, :12]
    np.savez(tmp_path / "narrow.npz", **arrays)
    corpus = f"features:{tmp_path / 'narrow.npz'}"
    arg = config(world, **{"prompts.corpus": corpus})
    done = run("train", f"--config={arg}", f"--workdir={tmp_path / 'x'}")
    assert done.returncode == 2 and "have width 16 and the text features 12" in done.stderr
