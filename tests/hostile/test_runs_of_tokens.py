"""Runs of MC-TI whose faults would show after the last update, and runs that never reach it."""

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.errors import UserError
from common.training import train
from common.training.mesh import make_mesh
from configs.mcti import get_config
from mcti_jax.export import export
from mcti_jax.formats import read_tokens
from mcti_jax.generate import draw
from mcti_jax.method import MCTI, Steps
from tests.mcti.tiny_models import write_tiny_models

pytestmark = pytest.mark.usefixtures("quick_compiler", "shapes_found_once")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Tiny models, and photos of two classes: three to learn from and one for the test each."""
    folder = tmp_path_factory.mktemp("world")
    write_tiny_models(folder)
    write_photos(folder / "photos", "cat", "dog")
    write_photos(folder / "one", "dog")
    return folder


def write_photos(folder: Path, *names: str) -> None:
    for n, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for i in range(4):
            pixels = np.full((9, 9, 3), 60 * i + 7 * n, np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")


def config_of(world, changes="", photos=None):
    fields = {
        **{"model": world / "sd", "clip": world / "clip"},
        **{"data": f"folder:{photos or world / 'photos'}"},
        **{"cache": world / "cache", "compile_cache": world / "xla", "progress": False},
        **{"mesh.data": 1, "compare_ti": False, "samples": 1, "updates": 4, "steps_per_call": 1},
        **{"log_every": 1, "save_every": 2, "generate.per_class": 1, "generate.steps": 1},
    }
    given = dict(each.split("=", 1) for each in changes.split(",")) if changes else {}
    return get_config(",".join(f"{name}={value}" for name, value in {**fields, **given}.items()))


def run(world, workdir, changes="", photos=None):
    config = config_of(world, changes, photos)
    return train(MCTI(config), workdir)


@pytest.fixture(scope="module")
def finished(world):
    """A run of as many updates as the one that was stopped had made."""
    run(world, world / "finished", "updates=2,generate.per_class=0")
    return world / "finished"


@pytest.fixture(scope="module")
def ended_by_a_signal(world):
    """A run that was ended by a signal after its second update."""
    batch = Steps.batch

    def press(self, step):
        if step == 1:
            signal.raise_signal(signal.SIGTERM)
        return batch(self, step)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(Steps, "batch", press)
        run(world, world / "stopped", "updates=6")
    return world / "stopped"


@pytest.fixture
def stopped(ended_by_a_signal, tmp_path):
    """A copy of that run."""
    return Path(shutil.copytree(ended_by_a_signal, tmp_path / "run"))


@pytest.mark.parametrize(
    ("changes", "learned", "kept"),
    [
        ("", "6 of 6 photos", "2 photos"),
        ("holdout=0", "8 of 8 photos", "no photo, so no accuracy is measured"),
        ("shots=1", "2 of 6 photos (1 of each class, shots=1)", "2 photos"),
        ("shots=0,holdout=2", "4 of 4 photos", "4 photos"),
    ],
)
def test_a_run_says_what_it_learns_from(changes, learned, kept, world):
    config = config_of(world, changes)
    told = []
    MCTI(config).load(make_mesh(1, 1), told.append)
    (summary,) = told
    assert summary["classes"] == "2: cat, dog"
    assert (summary["learns from"], summary["kept for the test"]) == (learned, kept)
    assert "fewer" not in summary


def test_a_run_says_which_classes_have_fewer_photos(world, tmp_path):
    photos = shutil.copytree(world / "photos", tmp_path / "photos")
    (photos / "dog" / "0.png").unlink()
    told = []
    MCTI(config_of(world, "shots=4,holdout=0", photos)).load(make_mesh(1, 1), told.append)
    assert told[0]["fewer"] == "dog 3 in place of 4"


def test_a_run_says_which_photos_it_learns_from_and_is_measured_on(world, tmp_path, capsys):
    photos = shutil.copytree(world / "photos", tmp_path / "photos")
    shutil.copy(photos / "cat" / "0.png", photos / "cat" / "3.png")
    MCTI(config_of(world, photos=photos)).load(make_mesh(1, 1))
    said = " ".join(capsys.readouterr().out.split())
    assert "1 of 2 test examples also learned from, e.g. cat/3.png, which is cat/0.png: " in said


@pytest.mark.parametrize(
    "broken",
    [("dog/3.png",), ("cat/3.png", "dog/3.png"), ("cat/0.png",), ("cat/1.png", "dog/3.png")],
)
def test_broken_photos_are_found_before_the_first_update(broken, world, tmp_path):
    """The last photo of each class is one of the test."""
    write_photos(tmp_path / "photos", "cat", "dog")
    for name in broken:
        (tmp_path / "photos" / name).write_bytes(b"\x89PNG\r\n\x1a\nhalf")
    with pytest.raises(UserError) as caught:
        run(world, tmp_path / "run", photos=tmp_path / "photos")
    assert all(name in str(caught.value) for name in broken)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ("generate.steps=0", "generate.steps=0"),
        ("generate.steps=2000", "2000"),
        ("generate.per_class=-1", "generate.per_class=-1"),
        ("generate.batch=0", "generate.batch=0"),
        ("generate.guidance=inf", "generate.guidance=inf"),
        (f"generate.prompt={'dog ' * 80}{{}}", "75 fit: shorten it"),
        ("generate.prompt={} and {}", "needs one {}"),
        ("resolution=22", "resolution=22"),
        ("attention=flash", "attention='flash'"),
    ],
)
def test_settings_are_checked_before_the_first_update(changes, sentence, world, tmp_path):
    with pytest.raises(UserError) as caught:
        run(world, tmp_path / "run", changes)
    assert sentence in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_settings_of_pictures_may_be_changed_afterwards(world, stopped):
    assert json.loads((stopped / "config.json").read_text())["shots"] == 0
    result = run(world, stopped, "updates=6,generate.prompt=the {},generate.steps=2")
    assert result["updates"] == 6


def test_one_class_is_drawn_but_not_measured(world, tmp_path, capsys):
    result = run(world, tmp_path / "run", photos=world / "one")
    assert "of one class no accuracy is measured" in capsys.readouterr().out
    names = {*result["metrics"], *(x for row in result["baselines"].values() for x in row)}
    assert not {name for name in names if "accuracy" in name}
    assert "generated/clip_i" in names
    with pytest.raises(UserError, match="has one class, from which alpha=0"):
        run(world, tmp_path / "other", "alpha=0", photos=world / "one")


def test_tokens_of_a_run_that_is_not_finished(world, stopped, finished, capsys):
    with pytest.raises(UserError, match=r"is not finished: .*mcti_jax\.export --workdir="):
        draw(stopped, ["<dog>"])
    with pytest.raises(UserError, match="missing --out"):
        export(stopped, "a1111", None)
    assert sorted(path.name for path in export(stopped, "diffusers", None)) == [
        "cat.safetensors",
        "dog.safetensors",
    ]
    assert "is not finished: at step 2 of 6" in capsys.readouterr().out
    ours, short = (read_tokens(folder / "tokens") for folder in (stopped, finished))
    for one, other in zip(ours, short, strict=True):
        assert (one.token, one.metadata) == (other.token, other.metadata)
        np.testing.assert_array_equal(one.vectors, other.vectors)
    assert draw(stopped, ["a photo of <dog>"], num=1, steps=1).ndim == 3


@pytest.mark.parametrize(
    ("prompt", "sentence"),
    [
        ("a <fox>", "<fox> was not learned; the words are <cat>, <dog>"),
        ("<dog> " * 76, "76 of them learned, and 75 fit"),
        ("dog " * 80, "75 fit: shorten it"),
    ],
)
def test_prompts_that_cannot_be_drawn(prompt, sentence, finished):
    with pytest.raises(UserError) as caught:
        draw(finished, [prompt], num=1, steps=1)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    "prompt", ["a\x07photo of <dog>", "a\n<dog>\t", "\u202e<DOG>", "", "<dog>"]
)
def test_odd_prompts_that_are_drawn(prompt, finished):
    assert draw(finished, [prompt], num=1, steps=1, seed=2**64 - 1).ndim == 3
