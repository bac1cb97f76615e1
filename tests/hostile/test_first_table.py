"""Runs of AAPE say what they learn from, or why they cannot, before a tower encodes anything."""

from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from PIL import Image

from aape_jax.captioning.method import Captioning
from aape_jax.captioning.prefix import linear
from aape_jax.classification.method import Classification
from aape_jax.core.heads_file import write_head
from aape_jax.export import export
from aape_jax.retrieval.method import Retrieval
from aape_jax.vqa.method import VQA
from common.errors import UserError
from common.fields import read_fields
from common.nesting import nest
from common.training.mesh import make_mesh
from common.training.workdir import write_config
from configs import aape, aape_captioning, aape_retrieval, aape_vqa
from tests.aape.feature_files import captioned
from tests.aape.question_files import picture, write, write_easy_vqa, write_nocaps, write_vqa2
from tests.hostile import test_protext_settings

WIDTH = 128
"""Of the pocket CLIP's features and cells, and of the pocket language model."""

TASKS = {
    "classes": (Classification, aape),
    "retrieval": (Retrieval, aape_retrieval),
    "captions": (Captioning, aape_captioning),
    "questions": (VQA, aape_vqa),
}


class Encoding(Exception):
    """A tower was asked for features, or photos for their pixels."""


@pytest.fixture(autouse=True)
def no_towers(monkeypatch):
    """What would encode anything ends a test."""

    def encode(*_, **__):
        raise Encoding

    monkeypatch.setattr("common.data.clip_features.cached_pass", encode)
    monkeypatch.setattr("common.data.clip_texts.cached_pass", encode)
    monkeypatch.setattr("aape_jax.vqa.towers.load_all", encode)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Photos of two classes, and every layout of captions and questions."""
    folder = tmp_path_factory.mktemp("world")
    for number, name in enumerate(("red", "green")):
        for photo in range(3):
            file = folder / "classes" / name / f"{photo}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (90 * photo, 90 * number, 0)).save(file)
    images = [
        {"filename": f"{part}.png", "split": part, "sentences": [{"raw": "one"}, {"raw": "two"}]}
        for part in ("train", "test")
    ]
    for number, image in enumerate(images):
        picture(folder / "photos" / image["filename"], number)
    write(folder / "karpathy.json", images=images)
    write(folder / "prompts.json", red=["A red thing.", "Red."], green=["It is green."])
    write_nocaps(folder)
    write_easy_vqa(folder / "easy")
    (folder / "vqa2").mkdir()
    write_vqa2(folder / "vqa2")
    answers = folder / "vqa2" / "v2_mscoco_val2014_annotations.json"
    answers.write_text(answers.read_text().replace("blue", "green"))
    captioned(folder)
    return folder


def loaded(task, fields, world):
    """What is told while a run loads, and the error that ends it."""
    method, made = TASKS[task]
    settings = ",".join(f"{name}={value}" for name, value in fields.items())
    config = made.get_config(settings.format(world=world))
    told = []
    with pytest.raises((Encoding, UserError)) as caught:
        own = method(config)
        own.load(make_mesh(1, 1), told.append)
    return told, caught.value


CLASSES = {"data": "folder:{world}/classes", "prompts.source": "json:{world}/prompts.json"}
KARPATHY = "karpathy:{world}/karpathy.json,{world}/photos"
NOCAPS = "nocaps:{world}/nocaps.json,{world}/photos,"
TABLES = {
    "photos": ("classes", CLASSES, "4 of 4 photos of these classes, with 3 sentences"),
    "photos and no sentences": (
        "classes",
        CLASSES | {"prompts.source": "none"},
        "4 of 4 photos of these classes",
    ),
    "another data set": (
        "classes",
        CLASSES | {"targets": "(folder:{world}/classes)", "views": 2},
        "4 of 4 photos of these classes, with 3 sentences",
    ),
    "bundled photos": ("classes", {"data": "pocket:named"}, "sentences"),
    "retrieval": ("retrieval", {"data": "pocket:captions"}, "512 images, 2560 captions"),
    "retrieval from Karpathy's file": ("retrieval", {"data": KARPATHY}, "1 images, 2 captions"),
    "retrieval, NoCaps": ("retrieval", {"data": NOCAPS + KARPATHY}, "1 images, 2 captions"),
    "captions": ("captions", {"data": "pocket:captions"}, "512 images, 2560 captions"),
    "captions from Karpathy's file": ("captions", {"data": KARPATHY}, "1 images, 2 captions"),
    "captions, NoCaps": ("captions", {"data": NOCAPS + KARPATHY}, "1 images, 2 captions"),
    "questions": ("questions", {"data": "pocket:questions"}, "512 images"),
    "easy-VQA": (
        "questions",
        {"data": "easy_vqa:{world}/easy", "loss.distill": "false"},
        "3 images, 3 questions",
    ),
    "a tower that is trained": (
        "questions",
        {"data": "easy_vqa:{world}/easy", "loss.distill": "false", "tower": "small", "side": 8},
        "3 images, 3 questions",
    ),
    "VQA v2": (
        "questions",
        {"data": "vqa2:{world}/vqa2", "per_image": 1, "loss.distill": "false"},
        "2 images, 3 questions",
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_the_first_table_comes_before_features(name, world):
    task, fields, learned = TABLES[name]
    told, error = loaded(task, fields, world)
    assert isinstance(error, Encoding), error
    (rows,) = told
    assert learned in rows["learns from"] and rows["kept for the test"]


@pytest.mark.parametrize("task", TASKS)
def test_counts_for_compiling_are_told_where_they_are_not_the_datas(task, world):
    stated = [
        field.name
        for field in read_fields(Path(TASKS[task][1].__file__))
        if field.meaning.startswith("for `common.aot`") and field.default == "0"
    ]
    (rows,), error = loaded(task, dict.fromkeys(stated, 7), world)
    assert isinstance(error, Encoding), error
    assert stated
    assert rows["not read"] == f"{', '.join(f'{x}=7' for x in stated)}, for common.aot alone"


def test_counts_for_compiling_that_are_the_datas_are_not_told(world):
    (rows,), _ = loaded("classes", CLASSES | {"classes": 2}, world)
    assert "not read" not in rows


REFUSED = {
    "a target that is not there": (
        "classes",
        CLASSES | {"targets": "(folder:{world}/classes,folder:{world}/nowhere)"},
        "nowhere' does not exist",
    ),
    "a target of another width": (
        "classes",
        CLASSES | {"targets": "({other})"},
        "have width 12 and the text features",
    ),
    "photos without a model": (
        "classes",
        CLASSES | {"model": "", "prompts.source": "features:{texts}"},
        "leaves no image tower for photos",
    ),
    "prompts of another width": (
        "classes",
        CLASSES | {"prompts.source": "features:{texts}"},
        "and the text features 16",
    ),
    "a class without sentences": (
        "classes",
        CLASSES | {"prompts.source": "json:{world}/few.json"},
        "has no sentence",
    ),
    "an h of other sizes": (
        "retrieval",
        {"data": KARPATHY, "start": "{start}", "compare": "()"},
        "h has the sizes",
    ),
    "an h of other sizes, for questions": (
        "questions",
        {"data": "pocket:questions", "start": "{start}"},
        "h has the sizes",
    ),
    "no answers in common": (
        "questions",
        {"data": "vqa2:{strange}", "per_image": 1, "loss.distill": "false"},
        "answers a test question",
    ),
    "nothing to distil from": (
        "questions",
        {"data": "easy_vqa:{world}/easy"},
        "has no captions to distil from",
    ),
    "captions of too many tokens": (
        "captions",
        {"data": KARPATHY, "lm.length": 4000},
        "tokens, but lm.model=pocket has",
    ),
    "a map of another model": (
        "captions",
        {"data": KARPATHY, "lm.map": "{start}/visual.safetensors"},
        "has the shape (3, 5)",
    ),
    "a map without its bias": (
        "captions",
        {"data": KARPATHY, "lm.map": "{start}/half.safetensors"},
        "has bias of the shape none",
    ),
    "a scorer that is not there": (
        "captions",
        {"data": KARPATHY, "scorer": "{world}/nothing"},
        "nothing",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_be_refused_is_refused_before_features(name, world, tmp_path):
    task, fields, sentence = REFUSED[name]
    start = tmp_path / "start"
    h = {"down": np.ones((3, 2), np.float32), "up": np.ones((2, 3), np.float32)}
    for variant in ("aape", "paper"):
        write_head(start / "heads" / f"{variant}.safetensors", {"generator": h})
    write_head(start / "visual.safetensors", linear(jax.random.key(0), 3, 5))
    write_head(start / "half.safetensors", {"kernel": np.ones((WIDTH, WIDTH), np.float32)})
    np.savez(
        tmp_path / "texts.npz",
        classnames=np.array(["red", "green"]),
        class_features=np.ones((2, 16), np.float32),
    )
    write(world / "few.json", red=["A red thing."])
    other = test_protext_settings.write(tmp_path, "other", ["red", "green"], test=[0, 1], width=12)
    (tmp_path / "vqa2").mkdir()
    strange = write_vqa2(tmp_path / "vqa2")
    places = {"strange": strange, "start": start, "texts": tmp_path / "texts.npz", "other": other}
    for place, where in places.items():
        fields = {key: str(x).replace(f"{{{place}}}", str(where)) for key, x in fields.items()}
    told, error = loaded(task, fields, world)
    assert isinstance(error, UserError) and sentence in str(error), error
    assert not told


CAPTIONER = {
    "visual/kernel": (WIDTH, WIDTH),
    "visual/bias": (WIDTH,),
    "aape/generator/down": (WIDTH, 8),
    "aape/generator/up": (8, WIDTH),
    "aape/token/kernel": (WIDTH, 2 * WIDTH),
    "aape/token/bias": (2 * WIDTH,),
}
"""What a captioning run writes of which the test below says the sizes."""

OTHERS = {
    "a map of other cells": ({"visual/kernel": (5, WIDTH)}, r"\(5, 128\)", False),
    "a map's bias": ({"visual/bias": (5,)}, r"bias of the shape \(5,\), .* for \(128,\)", True),
    "no bias": ({"visual/bias": None}, r"bias of the shape none, .* ask for \(128,\)", True),
    "a row for a matrix": ({"visual/kernel": (7,)}, r"has .*the shape \(7,\)", True),
    "h of other units": (
        {"aape/generator/down": (WIDTH, 9)},
        r"the head 'aape' has generator/down of the shape \(128, 9\), .* ask for \(128, 8\)",
        True,
    ),
    "h of other features": (
        {"aape/generator/up": (8, 5)},
        r"generator/up of the shape \(8, 5\), .* ask for \(8, 128\)",
        True,
    ),
    "fewer tokens": (
        {"aape/token/kernel": (WIDTH, WIDTH), "aape/token/bias": (WIDTH,)},
        r"token/bias of the shape \(128,\), .* ask for \(256,\)",
        True,
    ),
    "no tokens": (
        {"aape/token/kernel": None, "aape/token/bias": None},
        r"token/bias of the shape none, .* give the run as it was written",
        True,
    ),
    "a part more": ({"aape/generator/more": (2,)}, "generator/more of the shape", True),
}


def captioner(world, workdir, changes):
    """A finished captioning run, some arrays of which have other shapes, and its parameters."""
    arg = f"data={KARPATHY},compare=(),generator.hidden=8,lm.aape_tokens=2,lm.beams=1"
    config = aape_captioning.get_config(arg.format(world=world))
    shapes = {path: shape for path, shape in (CAPTIONER | changes).items() if shape is not None}
    params = nest({path: np.zeros(shape, np.float32) for path, shape in shapes.items()})
    for name, own in params.items():
        write_head(workdir / "heads" / f"{name}.safetensors", own)
    write_config(workdir, config)
    (workdir / "result.json").write_text("{}")
    return config, params


def test_a_captioner_that_fits_is_read(world, tmp_path):
    config, _ = captioner(world, tmp_path, {})
    with pytest.raises(Encoding):
        Captioning.measure(config, tmp_path, None)
    assert len(export(tmp_path, tmp_path / "copy")) == 2


@pytest.mark.parametrize("name", OTHERS)
def test_a_captioner_of_other_sizes(name, world, tmp_path, monkeypatch):
    changes, sentence, alone = OTHERS[name]
    config, params = captioner(world, tmp_path, changes)
    with pytest.raises(UserError, match=sentence):
        Captioning.measure(config, tmp_path, None)
    if not alone:  # Without the models a map of other cells is as good as any.
        return
    kept = {name: {"map" if name == "visual" else "head": own} for name, own in params.items()}
    unfinished = SimpleNamespace(trainable=kept, notes={})
    monkeypatch.setattr("common.training.unfinished.read_unfinished", lambda _: unfinished)
    for finished in (True, False):
        if not finished:
            (tmp_path / "result.json").unlink()
        with pytest.raises(UserError, match=sentence):
            export(tmp_path, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_what_another_method_learned_is_not_exported(world, tmp_path, monkeypatch):
    captioner(world, tmp_path, {})
    (tmp_path / "result.json").unlink()
    tokens = SimpleNamespace(trainable={"tokens": np.zeros((3, 5))}, notes={})
    monkeypatch.setattr("common.training.unfinished.read_unfinished", lambda _: tokens)
    with pytest.raises(UserError, match="what was learned as 'tokens' has no head"):
        export(tmp_path, tmp_path / "copy")


HEADS = {
    "classes": (Classification.measure, ("aape", "default", "paper"), CLASSES),
    "retrieval": (Retrieval.measure, ("aape", "paper"), {"data": KARPATHY}),
    "questions": (VQA.measure, ("aape",), {"data": "pocket:questions"}),
}


@pytest.mark.parametrize(
    ("task", "other"), [*((task, None) for task in HEADS), ("classes", "folder:{world}/classes")]
)
def test_heads_of_other_sizes_are_refused_before_features(task, other, world, tmp_path):
    evaluate, names, fields = HEADS[task]
    settings = ",".join(f"{name}={value}" for name, value in (fields | {"compare": "()"}).items())
    config = TASKS[task][1].get_config(settings.format(world=world))
    h = {"down": np.ones((3, 2), np.float32), "up": np.ones((2, 3), np.float32)}
    for name in names:
        write_head(tmp_path / "heads" / f"{name}.safetensors", {"generator": h})
    with pytest.raises(UserError, match=r"the head 'aape' has .* but the model and the run's"):
        evaluate(config, tmp_path, other and other.format(world=world))
