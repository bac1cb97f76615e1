"""Captioning: what is shown, what is counted, what is learned when, and what is written."""

import dataclasses
import json
import shutil
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aape_jax.captioning import method, report
from aape_jax.captioning.captioner import Captioner
from aape_jax.captioning.features import caption_tokens
from aape_jax.captioning.method import Captioning
from aape_jax.captioning.prefix import Prefix
from aape_jax.captioning.stages import rate_within
from aape_jax.captioning.variants import BASELINE
from aape_jax.core.heads_file import read_head, write_head
from aape_jax.datasets.caption_set import CaptionSet
from common.config import read_config
from common.errors import UserError
from common.language.prompts import CAPTION
from common.training import train
from common.training.mesh import make_mesh
from tests.aape.caption_problem import (
    CELLS,
    CHANNELS,
    LM,
    WIDTH,
    described,
    install,
    settings,
    text_vectors,
    untrained_clip,
)
from tests.aape.problem import vectors
from tests.aape.rows import rows_of
from tests.language.tiny import byte_tokenizer, random_lm

pytestmark = pytest.mark.usefixtures("quick_compiler")
MAP_ALONE = {"lm.aape_position": "none", "compare": "()", "map_updates": 4, "updates": 4}


def loaded(config):
    method = Captioning(config)
    found = method.load(make_mesh(1, 1))
    return method, jax.tree.map(jnp.asarray, found.frozen), found.source


@pytest.fixture(scope="module")
def run(tmp_path_factory, compiled, quick_compiler):
    """A finished run: its folder, result and data."""
    with pytest.MonkeyPatch.context() as patch:
        parts, lm = install(patch)
        config = settings(**{"mesh.data": 2, "compile_cache": compiled})
        workdir = tmp_path_factory.mktemp("run")
        result = train(Captioning(config), workdir)
        yield workdir, result, parts, lm


def test_a_run_writes_what_users_take_away(run):
    workdir, result, _, _ = run
    metrics = {"cider_d", "bleu_4", "rouge_l", "clip_score", "ref_clip_score", "nats_per_token"}
    metrics |= {"beam_2/cider_d", "parameters"}
    assert metrics <= set(result["metrics"])
    assert set(result["baselines"]) == {"before_visual", "none", "nearest_caption"}
    assert {p.stem for p in (workdir / "heads").iterdir()} == {"visual", "aape", "before_visual"}
    written = json.loads((workdir / "captions.json").read_text())
    assert set(written) == {f"image-{i}" for i in range(5)}
    assert set(written["image-0"]["none"]) == {"greedy", "beam_2"}
    assert (workdir / "captions.png").is_file()


def test_the_log_tells_rows_apart(run):
    workdir = run[0]
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    first, *_, last = [line for line in lines if "loss" in line]
    assert first["task"] == first["before_visual/task"]
    assert first["loss"] == pytest.approx(first["task"], rel=1e-5)
    assert last["task"] != last["before_visual/task"]
    assert {"distill", "cos_pa_pbar", "before_visual/distill"} <= set(last)


def test_evaluate_repeats_the_runs_numbers(run, monkeypatch, capsys):
    workdir, result, parts, lm = run
    install(monkeypatch, parts, lm)
    rows = rows_of(Captioning, read_config(workdir), workdir, None)
    assert rows["aape"] == result["metrics"]
    assert rows["none"] == result["baselines"]["none"]
    assert "have changed" not in capsys.readouterr().out


def test_evaluate_says_that_training_captions_have_changed(run, monkeypatch, capsys):
    """The row of the nearest is made of them."""
    workdir, _, parts, lm = run
    train = parts["train"]
    texts = dataclasses.replace(train.texts, captions=(("a dog",), *train.texts.captions[1:]))
    install(monkeypatch, parts | {"train": dataclasses.replace(train, texts=texts)}, lm)
    rows_of(Captioning, read_config(workdir), workdir, None)
    assert "have changed since it learned from them" in capsys.readouterr().out


def test_a_second_evaluation_compiles_nothing(monkeypatch):
    traced, nats, tokens = [], Captioner.nats, Captioner.tokens
    monkeypatch.setattr(Captioner, "nats", lambda *x: [traced.append(1), nats(*x)][1])
    monkeypatch.setattr(Captioner, "tokens", lambda *x: [traced.append(1), tokens(*x)][1])
    install(monkeypatch)
    method, frozen, _ = loaded(settings(**{"lm.beams": 1, "pictures": 0}))
    trainable = method.init(jax.random.key(0))
    first = method.evaluate(trainable, frozen)
    assert traced
    traced.clear()
    assert method.evaluate(trainable, frozen).metrics == first.metrics
    assert not traced


@dataclasses.dataclass(frozen=True)
class Learned:
    """Parameters before, between and behind the stages, and the own task's loss by stage."""

    start: dict
    middle: dict
    end: dict
    tasks: np.ndarray


@pytest.fixture(scope="module")
def learned():
    """Both stages of 25 updates, without the loop."""
    rates = {"learning_rate": 1e-2, "map_rate": 1e-2, "weight_decay": 0.1}
    with pytest.MonkeyPatch.context() as patch:
        install(patch)
        method, frozen, source = loaded(settings(map_updates=25, updates=50, **rates))
    optimizer = method.optimizer()

    @jax.jit
    def update(trainable, state, batch, key):
        gradient, metrics = jax.grad(method.loss, has_aux=True)(trainable, frozen, batch, key)
        changes, state = optimizer.update(gradient, state, trainable)
        return jax.tree.map(jnp.add, trainable, changes), state, metrics["task"]

    reached = [method.init(jax.random.key(0))]
    state, tasks = optimizer.init(reached[0]), []
    for step in range(50):
        batch = jax.tree.map(jnp.asarray, source.batch(step))
        trainable, state, task = update(reached[-1], state, batch, jax.random.key(step))
        reached.append(trainable)
        tasks.append(float(task))
    return Learned(reached[0], reached[25], reached[50], np.reshape(tasks, (2, 25)))


def test_each_stage_moves_its_own_parameters_alone(learned):
    start, middle, end = learned.start, learned.middle, learned.end

    def same(first, second):
        pairs = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
        return [bool((a == b).all()) for a, b in pairs]

    names = ("aape", "before_visual")
    assert not any(same(start["visual"], middle["visual"]))
    assert all(same([start[n] for n in names], [middle[n] for n in names]))
    assert all(same(middle["visual"], end["visual"]))
    assert not all(same(middle["aape"]["aggregator"], end["aape"]["aggregator"]))
    for name in names:
        assert not any(same(middle[name]["head"], end[name]["head"]))


def test_both_stages_learn(learned):
    first, second = learned.tasks
    assert first[15:].mean() < first[:5].mean() - 0.1
    assert second[15:].mean() < first[15:].mean() - 0.02


def test_only_the_caption_is_counted(monkeypatch):
    _, lm = install(monkeypatch)
    method, frozen, _ = loaded(settings())
    ids = np.array([[9, 30, LM.eos, LM.eos], [12, LM.eos, LM.eos, LM.eos]], np.int32)
    lengths = jnp.array([3, 2])
    prefix = jnp.asarray(vectors(2, CELLS, LM.width))
    found = jax.jit(method.captioner.nats)(frozen, prefix, jnp.asarray(ids), lengths)
    apply = partial(jax.jit(lm.model.apply, static_argnames="method"), {"params": lm.params})
    asking = lm.tokenizer.encode(CAPTION)
    total = 0.0
    for own, length, tokens in zip(prefix, (3, 2), ids, strict=True):
        text = jnp.asarray([*asking, *tokens[:length]])
        words = apply(text, method="embed")
        hidden, _ = apply(jnp.concatenate([own, words])[None])
        logits = apply(hidden[0], method="logits")
        likely = jax.nn.log_softmax(logits)[-1 - length : -1]
        total -= sum(float(likely[i, token]) for i, token in enumerate(tokens[:length]))
    assert float(found.sum()) == pytest.approx(total, rel=1e-4)


def test_cells_may_come_with_the_batch(monkeypatch):
    install(monkeypatch)
    losses = []
    for where in ("device", "host"):
        method, frozen, source = loaded(settings(grid=where, **MAP_ALONE))
        assert ("grid" in frozen) == (where == "device")
        batch = jax.tree.map(jnp.asarray, source.batch(3))
        trainable = method.init(jax.random.key(0))
        losses.append(float(jax.jit(method.loss)(trainable, frozen, batch, jax.random.key(1))[0]))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize("position", ["before_visual", "after_visual"])
def test_where_the_tokens_stand(position):
    prefix = Prefix(position, tokens=2)
    params = prefix.init(jax.random.key(0), WIDTH, 6)
    h, visual = jnp.asarray(vectors(3, WIDTH)), jnp.asarray(vectors(3, 4, 6, seed=1))
    found = prefix(visual, params, h)
    aape = np.asarray(h @ params["kernel"] + params["bias"]).reshape(3, 2, 6)
    parts = [visual, aape] if position == "after_visual" else [aape, visual]
    np.testing.assert_allclose(found, np.concatenate(parts, axis=1), rtol=1e-4, atol=1e-5)


def test_captions_as_tokens():
    lm = random_lm(LM, byte_tokenizer())
    tokens = caption_tokens(lm, [["a cat", "a photo of two dogs"], [" a cat"]], longest=4)
    one = [*lm.tokenizer.encode(" a cat"), LM.eos]
    assert tokens.ids[0, 0, : len(one)].tolist() == tokens.ids[1, 0, : len(one)].tolist() == one
    assert tokens.lengths[0].tolist() == [len(one), 4]
    assert LM.eos not in tokens.ids[0, 1], "a text that is cut does not end"
    assert tokens.lengths[1].tolist() == [len(one), 0]


def test_captions_that_are_cut_are_counted(monkeypatch, capsys):
    """Those that are learned from, those that are compared with, and those that are written."""
    install(monkeypatch)
    cut = ["a", "b"]
    monkeypatch.setattr(report, "text_features", lambda *x: [x[3](cut), text_vectors(*x)][1])
    method, _, _ = loaded(settings(**{"lm.length": 3}))
    said = capsys.readouterr().out
    assert "training captions longer than lm.length=3 tokens ('" in said
    assert "test captions longer than lm.length=3 tokens ('" in said
    line = "2 test captions longer than the scorer's text tower reads ('a', 'b'): cut."
    assert line in said
    method.report._scores({"greedy": ["red " * 40, *["a red dog"] * 4]})
    line = "1 written caption longer than the scorer's text tower reads ('A photo"
    assert line in capsys.readouterr().out


def test_the_rate_of_a_stage():
    rate = rate_within(2.0, start=4, stop=8, warmup=2)
    found = [float(rate(step)) for step in range(10)]
    cosine = [0.5 * (1 + np.cos(np.pi * i / 4)) for i in range(4)]
    expected = [0] * 4 + [1.0 * cosine[0], 2 * cosine[1], 2 * cosine[2], 2 * cosine[3]] + [0, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    assert [float(rate_within(2.0, 0, 0, 2)(step)) for step in range(3)] == [0, 0, 0]


def test_a_run_may_start_from_a_trained_map(run, monkeypatch):
    workdir, _, parts, lm = run
    install(monkeypatch, parts, lm)
    trained = workdir / "heads" / "visual.safetensors"
    method, _, source = loaded(settings(**{"lm.map": trained, "map_updates": 0}))
    start = method.init(jax.random.key(0))
    np.testing.assert_array_equal(start["visual"]["map"]["kernel"], read_head(trained)["kernel"])
    assert source.batch(0)["second"], "the first stage is left out"


def test_a_run_that_started_from_a_map_is_evaluated_without_it(run, monkeypatch, tmp_path):
    workdir, _, parts, lm = run
    install(monkeypatch, parts, lm)
    trained = tmp_path / "map.safetensors"
    shutil.copy(workdir / "heads" / "visual.safetensors", trained)
    config = settings(**{"lm.map": trained, "map_updates": 0, "compare": "()"})
    result = train(Captioning(config), tmp_path / "run")
    trained.unlink()
    rows = rows_of(Captioning, read_config(tmp_path / "run"), tmp_path / "run", None)
    assert rows["aape"] == result["metrics"]
    with pytest.raises(UserError, match=r"map\.safetensors' is missing"):
        train(Captioning(config), tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_a_language_model_of_another_width_is_refused(run, monkeypatch, tmp_path):
    workdir, _, parts, _ = run
    other = random_lm(dataclasses.replace(LM, width=12), byte_tokenizer())
    install(monkeypatch, parts, other)
    sentence = f"has the shape \\({CHANNELS}, 24\\), .* language model's width is 12"
    with pytest.raises(UserError, match=sentence):
        rows_of(Captioning, read_config(workdir), workdir, None)
    config = settings(**{"lm.map": workdir / "heads" / "visual.safetensors"})
    with pytest.raises(UserError, match=sentence):
        train(Captioning(config), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    write_head(tmp_path / "empty.safetensors", {"bias": np.zeros(2, np.float32)})
    config = settings(**{"lm.map": tmp_path / "empty.safetensors"})
    with pytest.raises(UserError, match=r"has the shape \(\)"):
        train(Captioning(config), tmp_path / "run")


@pytest.mark.parametrize("model", ["model", "lm"])
def test_a_map_of_other_models_of_its_widths_is_refused(run, monkeypatch, tmp_path, model):
    workdir, _, parts, lm = run
    other = dataclasses.replace({"model": untrained_clip(), "lm": lm}[model], fingerprint="others")
    install(monkeypatch, parts, other if model == "lm" else lm)
    if model == "model":
        monkeypatch.setattr(method, "clip_of", lambda *_: other)
    config = settings(**{"lm.map": workdir / "heads" / "visual.safetensors", "map_updates": 0})
    with pytest.raises(UserError, match=f"was learned with another {model} .* run's .others."):
        train(Captioning(config), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_is_not_measured_with_another_language_model_without_a_word(run, monkeypatch, capsys):
    workdir, _, parts, lm = run
    install(monkeypatch, parts, dataclasses.replace(lm, fingerprint="others"))
    rows_of(Captioning, read_config(workdir), workdir)
    assert "The lm of" in capsys.readouterr().out


def test_an_image_without_captions_is_refused():
    part = described(3, 0)
    with pytest.raises(UserError, match="image-1 has no caption"):
        CaptionSet(part.texts.pictures, (("a",), (), ("b",)))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"lm.aape_position": "above"}, "lm.aape_position='above' is unknown"),
        ({"lm.aape_tokens": 0}, "lm.aape_tokens=0 is out of range"),
        ({"lm.aape_tokens": 60}, "are 8\\d tokens, but lm.model=pocket has 64 positions"),
        ({"lm.beams": 0}, "lm.beams=0"),
        ({"grid": "disk"}, "grid='disk' is unknown; choose one of device, host"),
        ({"lm.model": ""}, "needs a CLIP"),
        ({"map_updates": 20}, "map_updates=20 must lie between 0 and updates=16"),
        ({"map_updates": 0}, "leaves the visual map untrained"),
        ({"map_updates": 16}, "the steps behind map_updates train AAPE"),
        (
            {"lm.aape_position": "none"},
            "leaves the run without AAPE, and compare=",
        ),
        ({"lm.aape_position": "none", "compare": "()"}, "the steps behind map_updates train AAPE"),
        ({"map_rate": -1}, "map_rate=-1.0 is out of range"),
        ({"clip": 0}, "clip=0.0 is out of range"),
        ({"compare": "(paper,)"}, "compare='paper' is unknown"),
        ({"aggregator.token": "class"}, "images have no classes"),
    ],
)
def test_options_that_cannot_be(monkeypatch, tmp_path, changes, sentence):
    install(monkeypatch)
    config = settings(**changes)
    with pytest.raises(UserError, match=sentence):
        train(Captioning(config), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_map_alone(monkeypatch, tmp_path):
    """LiMBeR: no AAPE anywhere."""
    install(monkeypatch)
    config = settings(save_every=4, **MAP_ALONE, **{"lm.beams": 1, "pictures": 0})
    result = train(Captioning(config), tmp_path)
    assert BASELINE not in result["baselines"]
    assert set(result["baselines"]) == {"nearest_caption"}
