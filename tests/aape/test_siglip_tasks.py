"""Retrieval, questions and captions on the bundled SigLIP, each from its data to its figures."""

import functools
import json

import pytest

from aape_jax.datasets import caption_set
from common.config import changed
from common.data import ImageSplit
from common.errors import UserError
from common.training import train
from common.training.method import find_method
from configs import aape_captioning, aape_retrieval, aape_vqa
from tests.aape.rows import rows_of

pytestmark = pytest.mark.usefixtures("quick_compiler")
LOOP = {
    "model": "pocket:siglip",
    "batch": 8,
    "generator.hidden": 8,
    "updates": 4,
    "steps_per_call": 2,
    "log_every": 2,
    "save_every": 2,
    "compare": (),
    "compile_cache": "",
    "mesh.data": 1,
    "progress": False,
}
PREFIX = {"lm.length": 8, "lm.beams": 1, "map_updates": 2, "warmup": 1, "images_at_once": 4}
TASKS = {
    "retrieval": (aape_retrieval, {"queries_at_once": 8}, "image_to_text/recall_at_1"),
    "questions": (aape_vqa, {"hidden": 8, "pictures": 0}, "accuracy"),
    "captions": (
        aape_captioning,
        {**PREFIX, "data": "pocket:captions", "pictures": 0},
        "nats_per_token",
    ),
}


@pytest.fixture(scope="module", autouse=True)
def few_photos():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(caption_set.POCKET_SIZES, "captions", {"train": 12, "test": 6})
        yield


@pytest.fixture(scope="module")
def run(few_photos, quick_compiler, tmp_path_factory):
    """Of a task: its method, and the folder and the result of a run, which is made once."""

    @functools.cache
    def made(task):
        folder = tmp_path_factory.mktemp(task)
        configs, changes, _ = TASKS[task]
        fields = {**LOOP, **changes, "cache": str(folder / "cache")}
        method = find_method(configs.get_config(fields))
        return method, folder / "run", train(method, folder / "run")

    return made


@pytest.mark.parametrize("task", TASKS)
def test_a_task_on_siglip(task, run):
    _, workdir, result = run(task)
    assert TASKS[task][-1] in result["metrics"]
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert {"task", "distill"} <= set().union(*lines)


def test_evaluation_repeats_the_numbers(run):
    method, workdir, result = run("questions")
    assert rows_of(type(method), method.config, workdir, None)["aape"] == result["metrics"]


@pytest.mark.parametrize("task", TASKS)
def test_an_evaluation_opens_no_photo_that_was_learned_from(
    task, run, tmp_path, monkeypatch, capsys
):
    method, workdir, result = run(task)
    opened, load = set(), ImageSplit.load

    def watched(split, row):
        opened.add(split.names[row].partition("-")[0])
        return load(split, row)

    monkeypatch.setattr(ImageSplit, "load", watched)
    config = changed(method.config, {"cache": str(tmp_path)})
    found = rows_of(type(method), config, workdir)["aape"]
    assert found == pytest.approx(dict(result["metrics"]), rel=1e-4)
    assert opened == {"test"}
    assert "have changed" not in capsys.readouterr().out


@pytest.mark.parametrize("task", TASKS)
def test_an_evaluation_says_that_the_data_have_changed(task, run, tmp_path, monkeypatch, capsys):
    method, workdir, _ = run(task)
    monkeypatch.setitem(caption_set.POCKET_SIZES, "captions", {"train": 12, "test": 5})
    rows_of(type(method), changed(method.config, {"cache": str(tmp_path)}), workdir)
    assert "have changed since it learned from them" in capsys.readouterr().out


def test_clip_scores_are_a_clips(tmp_path):
    config = aape_captioning.get_config({"scorer": "pocket:siglip", "data": "pocket:captions"})
    with pytest.raises(UserError, match=r"^scorer='pocket:siglip' is a SigLIP, whose cosines"):
        train(find_method(config), tmp_path / "run")
    assert not (tmp_path / "run").exists()
