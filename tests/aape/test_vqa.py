"""Questions: the data, the head, and a run that has to look at both image and question."""

import dataclasses
import json
import zipfile
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from aape_jax.answerer import Answerer
from aape_jax.evaluate import questions
from aape_jax.tasks import vqa
from aape_jax.tasks.questions import OPENERS, Asked, Texts, vocabulary
from common.config import read_config
from common.data import ImageSplit
from common.data.photos import ArrayPhoto
from common.errors import UserError
from common.training import train
from configs.aape_vqa import get_config
from tests.aape.problem import vectors

WIDTH = 16
COLOURS = ("red", "green", "blue")
QUESTIONS = ("what colour is it?", "is it red?")


def write_easy_vqa(folder):
    for part, count in (("train", 3), ("test", 2)):
        images = folder / "data" / part / "images"
        images.mkdir(parents=True)
        for number in range(count):
            colour = [0, 0, 0]
            colour[number] = 255
            Image.new("RGB", (8, 8), tuple(colour)).save(images / f"{number}.png")
        listed = [["what colour is it?", COLOURS[n], n] for n in range(count)]
        (images.parent / "questions.json").write_text(json.dumps(listed))
    return folder


def asked(images, seed):
    """Two questions about each image, whose colour is a direction of its feature."""
    rng = np.random.default_rng(seed)
    colour = rng.integers(3, size=images)
    x = vectors(3, WIDTH, seed=1)[colour] + 0.3 * vectors(images, WIDTH, seed=seed)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    answers = [(COLOURS[c], "yes" if c == 0 else "no") for c in colour]
    source = Texts(
        pictures=ImageSplit(
            np.arange(images),
            tuple(map(str, range(images))),
            (ArrayPhoto(np.zeros((8, 8, 3), np.uint8)),) * images,
        ),
        captions=((),) * images,
        texts=QUESTIONS * images,
        image=np.repeat(np.arange(images), 2),
        answers=tuple((answer,) for own in answers for answer in own),
    )
    captions = np.stack([x, vectors(images, WIDTH, seed=seed + 1)], axis=1)
    return Asked(
        source=source,
        x=x,
        captions=captions,
        mask=np.ones((images, 2), bool),
        questions=vectors(2, WIDTH, seed=3),
        text=np.tile(np.arange(2, dtype=np.int32), images),
    )


@pytest.fixture
def parts(monkeypatch):
    """Features in place of CLIP and pictures."""
    found = {"train": asked(48, 4), "test": asked(30, 7)}
    monkeypatch.setattr(vqa, "load_clip", lambda *_: SimpleNamespace(fingerprint="none"))
    monkeypatch.setattr(vqa, "open_questions", lambda *_: found)
    return found


def run(workdir, **changes):
    fields = {
        "compare": "(question_only,)",
        "batch": 32,
        "hidden": 32,
        "generator.hidden": 8,
        "learning_rate": 1e-2,
        "updates": 60,
        "steps_per_call": 30,
        "log_every": 30,
        "save_every": 30,
        "pictures": 2,
        "compile_cache": "",
        "progress": "false",
        **changes,
    }
    config = get_config(",".join(f"{name}={value}" for name, value in fields.items()))
    return train(vqa.VQA(config), config, workdir)


def test_a_run_answers(parts, tmp_path):
    result = run(tmp_path)
    assert result["metrics"]["accuracy"] > 0.9
    blind = result["baselines"]["question_only"]
    assert blind["accuracy_other"] < 0.7, "the answers can be told without the image"
    counts = [answer for given in parts["test"].source.answers for answer in given]
    most = result["baselines"]["most_frequent"]["accuracy"]
    assert most == counts.count("no") / len(counts)
    line = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])
    assert {"task", "distill", "cos_pa_pbar", "question_only/task"} <= set(line)
    assert "question_only/distill" not in line, "h is no input there"
    assert (tmp_path / "answers.png").is_file()
    rows = questions(read_config(tmp_path), tmp_path, None)
    assert rows["aape"] == result["metrics"]
    with pytest.raises(UserError, match="train on the other data set"):
        questions(read_config(tmp_path), tmp_path, "easy_vqa:elsewhere")


def test_captions_are_needed_for_distillation_alone(parts, tmp_path):
    for name, part in parts.items():
        parts[name] = dataclasses.replace(part, captions=None, mask=None)
    with pytest.raises(UserError, match="has no captions to distil from"):
        run(tmp_path / "a")
    config = get_config("loss.distill=false")
    method = vqa.VQA(config)
    assert "captions" not in method.load(config, jax.make_mesh((1,), ("data",))).frozen


def test_answers_of_another_data_set(parts, tmp_path):
    source = parts["test"].source
    other = dataclasses.replace(source, answers=(("cat",),) * len(source.answers))
    parts["test"] = dataclasses.replace(parts["test"], source=other)
    with pytest.raises(UserError, match="none of the 5 training answers answers a test question"):
        run(tmp_path)


def test_the_head_by_hand():
    answerer = Answerer(("image", "question"), hidden=6)
    params = answerer.init(jax.random.key(0), WIDTH, answers=4)
    given = {
        name: vectors(3, WIDTH, seed=seed)
        for seed, name in enumerate(("image", "aape", "question"))
    }
    scaled = {name: np.sqrt(WIDTH) * x for name, x in given.items()}
    first = {name: np.asarray(leaf) for name, leaf in params["first"].items()}
    hidden = scaled["image"] @ first["image"] + scaled["question"] @ first["question"]
    expected = np.maximum(hidden, 0) @ np.asarray(params["second"])
    found = answerer(params, jax.tree.map(jnp.asarray, given))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [("inputs=(sound,)", "choose one or more of image"), ("hidden=0", "hidden=0 must be")],
)
def test_options_that_cannot_be(change, sentence):
    with pytest.raises(UserError, match=sentence):
        Answerer.from_config(get_config(change))


def test_the_most_frequent_answers_come_first():
    answers = [("b",), ("a",), ("b",), ("c",)]
    assert vocabulary(answers, 0) == ("b", "a", "c")
    assert vocabulary(answers, 1) == ("b",)
    with pytest.raises(UserError, match="answers=-1 is negative"):
        vocabulary(answers, -1)


@pytest.mark.parametrize("packed", [False, True])
def test_easy_vqas_folder(tmp_path, packed):
    folder = write_easy_vqa(tmp_path)
    if packed:
        with zipfile.ZipFile(folder / "images.zip", "w") as archive:
            for part in ("train", "test"):
                images = folder / "data" / part / "images"
                for file in sorted(images.iterdir()):
                    archive.write(file, f"easy_vqa/data/{part}/images/{file.name}")
                    file.unlink()
                images.rmdir()
    found = OPENERS["easy_vqa"](str(folder), "train")
    assert found.texts == ("what colour is it?",) * 3
    assert found.answers == (("red",), ("green",), ("blue",))
    assert found.image.tolist() == [0, 1, 2]
    assert found.pictures.load(1).getpixel((0, 0)) == (0, 255, 0)


def test_folders_that_are_not_easy_vqas(tmp_path):
    with pytest.raises(UserError, match=r"holds no train/questions\.json"):
        OPENERS["easy_vqa"](str(tmp_path), "train")
    folder = write_easy_vqa(tmp_path)
    (folder / "data" / "test" / "questions.json").write_text("[[1]]")
    with pytest.raises(UserError, match="cannot be read as"):
        OPENERS["easy_vqa"](str(folder), "test")


def test_the_pocket_questions():
    found = OPENERS["pocket"]("questions", "test")
    assert len(found.texts) == 9 * len(found.pictures)
    assert len(found.captions) == len(found.pictures) == 200
    with pytest.raises(UserError, match="no set of questions 'pocket:others'"):
        OPENERS["pocket"]("others", "test")
