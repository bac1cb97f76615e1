"""Questions: the data, the head, and a run that has to look at both image and question."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aape_jax.core.heads_file import read_head, write_head
from aape_jax.datasets.question_set import QuestionSet
from aape_jax.export import export
from aape_jax.vqa import method as vqa
from aape_jax.vqa.answerer import Answerer
from aape_jax.vqa.answers import read_answers, usual_answers, vocabulary
from aape_jax.vqa.features import QuestionFeatures
from aape_jax.vqa.material import blocks, training_questions
from common.config import read_config
from common.data import ImageSplit
from common.errors import UserError
from common.photos.photo import ArrayPhoto
from common.publish import publish
from common.training import train
from common.training.mesh import make_mesh
from configs.aape_vqa import get_config
from tests.aape.caption_problem import untrained_clip
from tests.aape.problem import vectors
from tests.aape.rows import rows_of

WIDTH = 16
COLOURS = ("red", "green", "blue")
QUESTIONS = ("what colour is it?", "is it red?")

pytestmark = pytest.mark.usefixtures("quick_compiler")


def asked(images, seed):
    """Two questions about each image, whose colour is a direction of its feature."""
    rng = np.random.default_rng(seed)
    colour = rng.integers(3, size=images)
    x = vectors(3, WIDTH, seed=1)[colour] + 0.3 * vectors(images, WIDTH, seed=seed)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    answers = [(COLOURS[c], "yes" if c == 0 else "no") for c in colour]
    source = QuestionSet(
        pictures=ImageSplit(
            np.arange(images),
            tuple(map(str, range(images))),
            (ArrayPhoto(np.zeros((8, 8, 3), np.uint8)),) * images,
        ),
        captions=(("a", "b"),) * images,
        texts=QUESTIONS * images,
        image=np.repeat(np.arange(images), 2),
        answers=tuple((answer,) for own in answers for answer in own),
    )
    captions = np.stack([x, vectors(images, WIDTH, seed=seed + 1)], axis=1)
    return QuestionFeatures(
        source=source,
        seen=x,
        captions=captions,
        mask=np.ones((images, 2), bool),
        questions=vectors(2, WIDTH, seed=3),
        text=np.tile(np.arange(2, dtype=np.int32), images),
    )


@pytest.fixture
def parts(monkeypatch):
    """Features in place of CLIP and pictures."""
    found = {"train": asked(48, 4), "test": asked(30, 7)}
    monkeypatch.setattr(vqa, "clip_of", lambda *_: untrained_clip())
    monkeypatch.setattr(
        vqa, "read_questions", lambda spec: {name: own.source for name, own in found.items()}
    )
    monkeypatch.setattr(vqa, "encode_questions", lambda *_: found)
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
    return train(vqa.VQA(config), workdir)


def test_a_run_answers(parts, tmp_path):
    result = run(tmp_path)
    assert result["metrics"]["accuracy"] > 0.9
    blind = result["baselines"]["question_only"]
    assert blind["accuracy_other"] < 0.7, "the answers can be told without the image"
    counts = [answer for given in parts["test"].source.answers for answer in given]
    most = result["baselines"]["most_frequent"]["accuracy"]
    assert most == counts.count("no") / len(counts)
    usual = result["baselines"]["most_frequent_by_question"]
    assert most < usual["accuracy"] < result["metrics"]["accuracy"]
    line = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])
    assert {"task", "distill", "cos_pa_pbar", "question_only/task"} <= set(line)
    assert "question_only/distill" not in line, "h is not an input there"
    assert (tmp_path / "answers.png").is_file()
    rows = rows_of(vqa.VQA, read_config(tmp_path), tmp_path, None)
    assert rows["aape"] == result["metrics"]
    with pytest.raises(UserError, match="train on the other data set"):
        rows_of(vqa.VQA, read_config(tmp_path), tmp_path, "easy_vqa:elsewhere")


def swapped(part, one, other):
    """The same questions, to which people answered one for the other."""
    words = {one: other, other: one}
    answers = tuple(tuple(words.get(x, x) for x in own) for own in part.source.answers)
    return dataclasses.replace(part, source=dataclasses.replace(part.source, answers=answers))


def test_a_head_keeps_the_answers_that_it_learned(parts, tmp_path):
    """Their order is that of their number among training questions, which may change."""
    result = run(tmp_path / "run")
    publish(tmp_path / "run", tmp_path / "out", method="aape_jax:VQA")
    export(tmp_path / "run", tmp_path / "finished")
    learned = vocabulary(parts["train"].source.answers, 0)
    parts["train"] = swapped(parts["train"], learned[0], learned[-1])
    assert vocabulary(parts["train"].source.answers, 0) != learned
    for folder in (tmp_path / "run", tmp_path / "out"):
        rows = rows_of(vqa.VQA, read_config(folder), folder, None)
        assert rows["aape"] == result["metrics"]
    (tmp_path / "run" / "result.json").unlink()
    export(tmp_path / "run", tmp_path / "unfinished")
    for name in ("finished", "unfinished"):
        assert read_answers(tmp_path / name) == learned


def test_captions_are_needed_for_distillation_alone(parts, tmp_path):
    for name, part in parts.items():
        source = dataclasses.replace(part.source, captions=((),) * len(part.seen))
        parts[name] = dataclasses.replace(part, source=source, captions=None, mask=None)
    with pytest.raises(UserError, match="has no captions to distil from"):
        run(tmp_path / "a")
    config = get_config("loss.distill=false")
    method = vqa.VQA(config)
    assert "captions" not in method.load(make_mesh(1, 1)).frozen


def test_answers_of_another_data_set(parts, tmp_path):
    source = parts["test"].source
    other = dataclasses.replace(source, answers=(("cat",),) * len(source.answers))
    parts["test"] = dataclasses.replace(parts["test"], source=other)
    with pytest.raises(UserError, match="none of the 5 training answers answers a test question"):
        run(tmp_path)


def painted(part, seed):
    """The same questions, about pictures of one colour each in place of features."""
    colour = [COLOURS.index(own[0]) for own in part.source.answers[::2]]
    noise = np.random.default_rng(seed).integers(60, size=(len(colour), 8, 8, 3))
    seen = (noise + 180 * np.eye(3, dtype=int)[colour][:, None, None]).astype(np.uint8)
    return dataclasses.replace(part, seen=seen, captions=None, mask=None)


def test_a_run_trains_a_tower(parts, tmp_path):
    for seed, name in enumerate(parts):
        parts[name] = painted(parts[name], seed)
    result = run(tmp_path, tower="small", side=8, per_image=2, **{"mesh.data": 1})
    assert result["metrics"]["accuracy"] > 0.9
    assert result["baselines"]["question_only"]["accuracy_other"] < 0.7
    heads = tmp_path / "heads"
    assert set(read_head(heads / "aape.safetensors")) == {"tower", "generator", "answerer"}
    assert set(read_head(heads / "question_only.safetensors")) == {"answerer"}
    rows = rows_of(vqa.VQA, read_config(tmp_path), tmp_path, None)
    assert rows["aape"] == result["metrics"]


def loaded(**changes):
    fields = {"generator.hidden": 8, "hidden": 16, "compare": "()", "batch": 8, **changes}
    config = get_config(",".join(f"{name}={value}" for name, value in fields.items()))
    method = vqa.VQA(config)
    return method, method.load(make_mesh(1, 1))


def test_questions_about_one_image_stay_together(parts):
    assert blocks(np.array([4, 9, 4, 4, 9]), 2).tolist() == [[0, 2], [3, 0], [1, 4]]
    assert blocks(np.array([1, 0, 1]), 1).tolist() == [[1], [0], [2]]
    losses = []
    for together in (1, 2):
        method, found = loaded(per_image=together, **{"loss.distill": False})
        rows = np.arange(8 // together, dtype=np.int32)
        assert found.source.batch(0)["rows"].shape == rows.shape
        trainable = method.init(jax.random.key(0))
        loss = jax.jit(method.loss)(trainable, found.frozen, {"rows": rows}, jax.random.key(1))[0]
        losses.append(loss)
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_h_may_start_from_another_run(parts, tmp_path):
    h = {"down": vectors(WIDTH, 8), "up": vectors(8, WIDTH, seed=1)}
    write_head(
        tmp_path / "heads" / "aape.safetensors", {"generator": h, "token": {"bias": h["up"]}}
    )
    method, _ = loaded(start=tmp_path, compare="(no_aape,no_distillation)")
    params = method.init(jax.random.key(0))
    for name in ("aape", "no_distillation"):
        jax.tree.map(np.testing.assert_array_equal, params[name]["head"]["generator"], h)
    assert "generator" not in params["no_aape"]["head"]


def test_runs_that_nothing_can_start_from(parts, tmp_path):
    with pytest.raises(UserError, match="train the run to its end first"):
        run(tmp_path / "a", start=tmp_path)
    heads = tmp_path / "heads" / "aape.safetensors"
    write_head(heads, {"generator": {"down": vectors(WIDTH, 4), "up": vectors(4, WIDTH)}})
    with pytest.raises(UserError, match=r"h has the sizes \[\(16, 4\), \(4, 16\)\] there and"):
        run(tmp_path / "a", start=tmp_path)
    write_head(heads, {"answerer": {"second_bias": np.zeros(2, np.float32)}})
    with pytest.raises(UserError, match="holds no h, so nothing can start from it"):
        run(tmp_path / "a", start=tmp_path)
    (tmp_path / "config.json").write_text('{"generator": {"residual": "none"}}')
    write_head(heads, {"generator": {"down": vectors(WIDTH, 8), "up": vectors(8, WIDTH)}})
    with pytest.raises(UserError, match="residual=none there, and this run has image: give gen"):
        run(tmp_path / "a", start=tmp_path)
    assert not (tmp_path / "a").exists()


def test_a_run_is_not_measured_with_another_model_without_a_word(
    parts, tmp_path, monkeypatch, capsys
):
    run(tmp_path, compare="()", updates=30)
    rows_of(vqa.VQA, read_config(tmp_path), tmp_path)
    assert "is not what it learned with" not in capsys.readouterr().out
    other = dataclasses.replace(untrained_clip(), fingerprint="others")
    monkeypatch.setattr(vqa, "clip_of", lambda *_: other)
    rows_of(vqa.VQA, read_config(tmp_path), tmp_path)
    said = capsys.readouterr().out
    assert "is not what it learned with (weights" in said and "now others)" in said


def test_an_h_of_another_model_is_refused(parts, tmp_path, monkeypatch):
    """Its sizes are the same."""
    start = tmp_path / "start"
    run(start, compare="()", updates=30)
    run(tmp_path / "a", start=start, compare="()", updates=30)
    other = dataclasses.replace(untrained_clip(), fingerprint="others")
    monkeypatch.setattr(vqa, "clip_of", lambda *_: other)
    with pytest.raises(UserError, match=r"with another model .* than this run's \(others\)"):
        run(tmp_path / "b", start=start)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model": ""}, "cannot encode questions"),
        ({"per_image": 0}, "per_image=0 must lie between 1 and batch=32"),
        ({"per_image": 33}, "per_image=33 must lie between 1 and batch=32"),
        ({"tower": "small", "loss.distill": "true"}, "has a space of its own"),
        ({"tower": "small", "start": "a"}, "that h read CLIP's features"),
        ({"answers": -1}, "answers=-1 is out of range"),
    ],
)
def test_runs_that_cannot_be(parts, tmp_path, changes, sentence):
    with pytest.raises(UserError, match=sentence):
        run(tmp_path / "a", **changes)
    assert not (tmp_path / "a").exists()


def test_answers_that_no_training_question_has(parts):
    with pytest.raises(UserError, match="the 1 answers to choose from answer no training question"):
        training_questions(parts["train"].source, ("purple",), 1)


@pytest.mark.parametrize("fusion", ["sum", "product"])
def test_the_head_by_hand(fusion):
    answerer = Answerer(("image", "question"), hidden=6, fusion=fusion)
    params = answerer.init(jax.random.key(0), WIDTH, answers=4)
    given = {
        name: vectors(3, WIDTH, seed=seed)
        for seed, name in enumerate(("image", "aape", "question"))
    }
    first = {name: np.asarray(leaf) for name, leaf in params["first"].items()}
    image, question = (np.sqrt(WIDTH) * given[name] @ first[name] for name in first)
    hidden = {
        "sum": np.maximum(image + question, 0),
        "product": np.maximum(image, 0) * np.maximum(question, 0),
    }
    expected = hidden[fusion] @ np.asarray(params["second"])
    found = answerer(params, jax.tree.map(jnp.asarray, given))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_product_needs_two_halves():
    answerers = [Answerer(("question",), 6, fusion) for fusion in ("sum", "product")]
    params = [answerer.init(jax.random.key(0), WIDTH, 4) for answerer in answerers]
    jax.tree.map(np.testing.assert_array_equal, *params)
    given = {"question": jnp.asarray(vectors(3, WIDTH))}
    found = [answerer(params[0], given) for answerer in answerers]
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("inputs=(sound,)", "choose one or more of image"),
        ("hidden=0", "hidden=0 is out of range"),
        ("fusion=max", "fusion='max'"),
    ],
)
def test_options_that_cannot_be(change, sentence):
    with pytest.raises(UserError, match=sentence):
        Answerer.from_config(get_config(change))


def test_what_is_usually_answered(parts):
    source = dataclasses.replace(
        parts["train"].source,
        texts=("who?", "who?", "what?"),
        answers=(("a", "a", "b"), ("b", "b"), ("c",)),
        image=np.array([0, 1, 0]),
    )
    assert usual_answers(source) == {"who?": "b", "what?": "c"}


def test_the_most_frequent_answers_come_first():
    answers = [("b",), ("a",), ("b",), ("c",)]
    assert vocabulary(answers, 0) == ("b", "a", "c")
    assert vocabulary(answers, 1) == ("b",)
