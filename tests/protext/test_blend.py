"""Class features of which a share comes from the prompts and the rest from CLIP alone."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest

from common.clip import load_clip
from common.config import changed
from common.errors import UserError
from protext_jax import classifier
from protext_jax.baseline_texts import read_material
from protext_jax.classifier import blended, class_features
from protext_jax.evaluation import BLENDS, evaluate, with_blend
from protext_jax.files import read_run_prompts
from protext_jax.inputs import EvaluationInputs
from protext_jax.learned import LearnedPrompts
from protext_jax.method import ProText
from protext_jax.options import with_data
from protext_jax.runs import RunSetting, make_runs
from protext_jax.signals import Sentences, alone, encode_sentences, rank
from protext_jax.summary import summary
from protext_jax.training_texts import gather_texts
from tests.protext import plain
from tests.protext.tiny import settings

pytestmark = pytest.mark.usefixtures("quick_compiler")

RUN = RunSetting(0.03, 10, 0)
TEMPLATE = "a photo of a {}."
NAMES = ["red star", "fish"]


@pytest.fixture(scope="module")
def clip():
    return load_clip("pocket")


def prompts(clip, scale=0.3, **changes):
    words = clip.params["text"]["token_embedding"][clip.tokenizer.encode("a photo of a")]
    learned = scale * np.random.default_rng(0).standard_normal((3, 4, 128)).astype(np.float32)
    learned[0] += words
    return LearnedPrompts.of(settings(**changes), clip.fingerprint, {"prompts": learned}, RUN)


def of_clip(clip, template=TEMPLATE):
    text, params = clip.config.text, clip.params["text"]
    ids = clip.tokenizer([template.replace("{}", name) for name in NAMES])
    return np.stack([plain.feature(text, params, row) for row in ids])


@pytest.mark.parametrize("blend", [0.0, 0.25, 0.9])
def test_a_blend_is_the_unit_mean_of_both(clip, blend):
    prompted = class_features(clip, prompts(clip), TEMPLATE, NAMES)
    wanted = blend * prompted + (1 - blend) * of_clip(clip)
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    found = class_features(clip, prompts(clip, blend=blend), TEMPLATE, NAMES)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_fillers_are_not_read_to_clip_alone(clip):
    learned = LearnedPrompts({"prompts": np.ones((1, 5, 128), np.float32)}, {"blend": "0"})
    found = class_features(clip, learned, "X X X X X {}.", NAMES)
    np.testing.assert_allclose(found, of_clip(clip), atol=1e-5)


@pytest.mark.parametrize(("blend", "kept"), [(1.0, None), (-1.0, None), (0.5, "0.5")])
def test_a_file_says_its_blend_where_it_has_one(clip, blend, kept):
    learned = prompts(clip, blend=blend)
    assert learned.metadata.get("blend") == kept
    assert learned.blend == (0.5 if kept else 1)


@pytest.mark.parametrize("blend", ["much", "", "nan", "1.5", "-0.5"])
def test_a_file_with_another_blend_is_refused(clip, blend):
    learned = prompts(clip)
    damaged = LearnedPrompts(learned.arrays, {**learned.metadata, "blend": blend})
    with pytest.raises(UserError, match="not a share from 0 to 1"):
        damaged.require_model(clip)


@pytest.fixture(scope="module")
def measured(clip, tmp_path_factory):
    """The text of `pocket:rare` alone, a quarter of whose base classes is held out."""
    cache = str(tmp_path_factory.mktemp("cache"))
    config = with_data(settings(blend=-1, held_out_classes=3, cache=cache))
    texts = gather_texts(config, clip.tokenizer)
    sentences = encode_sentences(clip, texts, tmp_path_factory.mktemp("features"))
    return EvaluationInputs(config, clip, texts, sentences, (), read_material(config, {}))


def test_held_out_classes_lie_far_apart_and_nothing_of_them_is_learned(measured):
    texts = measured.texts
    everything = texts.dataset.classnames[:12]
    assert texts.held_names == (everything[2], everything[6], everything[10])
    assert texts.names == tuple(name for name in everything if name not in texts.held_names)
    for label, name in enumerate(texts.classnames):
        of_it = [s for s, x in zip(texts.held_out, texts.held_label, strict=True) if x == label]
        learned = [s for s, x in zip(texts.sentences, texts.label, strict=True) if x == label]
        assert all(name in sentence.lower() for sentence in of_it + learned)
        apart = name in texts.held_names
        group = texts.matched.sentences[name]
        assert of_it == list(group if apart else [x for x in group[-2:] if x not in group[:-2]])
        assert len(group) >= 15 and learned == ([] if apart else list(group[:-2]))


def test_no_copy_of_what_is_learned_from_is_held_out(clip, tmp_path):
    """Or a choice by held-out sentences would be one by what was learned."""
    corpus = {"cat": ["a cat", "a cat sits", "a cat"], "dog": ["a dog", "a dog sits", "a dog lies"]}
    (tmp_path / "corpus.json").write_text(json.dumps(corpus))
    source = {"source": f"json:{tmp_path / 'corpus.json'}"}
    config = settings(data="none", held_out=2, held_out_classes=0, prompts=source)
    texts = gather_texts(config, clip.tokenizer)
    assert texts.sentences == ("a cat", "a dog")
    assert texts.held_out == ("a cat sits", "a dog sits", "a dog lies")
    assert texts.held_label.tolist() == [0, 1, 1]
    rows = summary(config, texts, ())
    assert rows["learns from"] == "2 of 6 sentences" and rows["passed over"] == "1 copy"


@pytest.mark.parametrize(("classes", "told"), [(1, "1 class"), (3, "3 classes")])
def test_a_run_says_how_many_classes_it_holds_out(clip, classes, told):
    config = with_data(settings(held_out_classes=classes))
    row = summary(config, gather_texts(config, clip.tokenizer), ())["held out"]
    assert f" sentences, all of {told} among them, for" in row


@pytest.mark.parametrize("scale", [0.0, 0.05, 3.0])
def test_held_out_sentences_choose_and_are_never_served_worse_than_by_clip(clip, measured, scale):
    learned = prompts(clip, scale)
    chosen, classes = with_blend(measured, learned)
    assert chosen.blend in BLENDS
    names = list(measured.texts.classnames)
    ranks = {
        blend: rank(
            measured.sentences.scores(
                class_features(clip, learned.with_blend(blend), TEMPLATE, names)
            )
        )
        for blend in BLENDS
    }
    assert ranks[chosen.blend] == max(ranks.values()) >= ranks[0.0]
    np.testing.assert_array_equal(classes, class_features(clip, chosen, TEMPLATE, names))


def test_a_run_keeps_the_blend_that_was_chosen(measured, tmp_path, monkeypatch):
    config = measured.config
    monkeypatch.setattr("protext_jax.evaluation.BLENDS", (0.3,))
    method = ProText(config)
    method.clip = measured.clip
    noise = 3 * np.random.default_rng(0).standard_normal((1, 3, 4, 128))
    trainable = {"prompts": noise.astype(np.float32)}
    evaluation = evaluate(measured, [RUN], trainable)
    assert evaluation.details["blends"] == [0.3]
    method.save(trainable, evaluation, tmp_path)
    monkeypatch.setattr("protext_jax.files.read_config", lambda *args, **kwargs: config)
    _, learned = read_run_prompts(tmp_path)
    assert learned.blend == 0.3


def test_the_result_of_a_sweep_has_the_seed_of_its_run(measured):
    fields = {"sweep": True, "grid.learning_rate": (), "grid.epochs": (), "grid.seed": (4, 5)}
    swept = replace(measured, config=changed(measured.config, fields | {"blend": 1.0}))
    trainable = {"prompts": np.zeros((2, 3, 4, 128), np.float32)}
    assert evaluate(swept, make_runs(swept.config), trainable).seed == 4


@pytest.mark.parametrize("blend", [0.0, 0.4, -1.0])
def test_a_run_stops_by_the_prompts_alone(measured, blend):
    """Else a blend, which a finished run may take, would change what is learned."""

    def metrics(blend):
        fields = {"early_stop": 1, "eval_every": 1, "held_out": 2, "blend": blend, "updates": 1}
        config = changed(measured.config, fields)
        noise = 3 * np.random.default_rng(0).standard_normal((1, 3, 4, 128))
        trainable = {"prompts": noise.astype(np.float32)}
        return evaluate(replace(measured, config=config), [RUN], trainable).metrics

    plain, mixed = metrics(1.0), metrics(blend)
    assert mixed["text/held_out_cosine"] != plain["text/held_out_cosine"]
    assert rank(alone(mixed)) == rank(alone(plain)) == rank(plain)
    lower = mixed | {"prompts_alone/held_out_cosine": plain["text/held_out_cosine"] - 0.1}
    method = ProText(settings(early_stop=1, eval_every=1, held_out=2, updates=1))
    assert method.stops([mixed, mixed]) and not method.stops([lower, mixed])


def test_scores_of_held_out_classes_are_among_all_classes():
    eye = np.eye(3, dtype=np.float32)
    sentences = Sentences(eye[[0, 1]], np.array([0, 1]), eye[[0, 2]], np.array([0, 2]))
    found = sentences.scores(eye)
    assert found["text/retrieval_accuracy"] == 1 and found["text/cosine"] == 1
    assert sentences.scores(eye[[0, 2, 1]])["text/retrieval_accuracy"] == 0.5


def test_a_blend_by_hand():
    found = blended(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]), 0.75)
    np.testing.assert_allclose(found, [[3 / 10**0.5, 1 / 10**0.5]])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"blend": -0.5}, "blend=-0.5 is out of range: give a share from 0 to 1, or -1"),
        ({"blend": 1.5}, "blend=1.5 is out of range"),
        ({"blend": -1, "held_out": 0}, "blend=-1 goes by held-out sentences"),
        ({"held_out_classes": 11}, "leaves fewer than two of 12 classes to learn: give at most 10"),
        ({"held_out_classes": -1}, "held_out_classes=-1"),
    ],
)
def test_what_does_not_fit_is_refused(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        ProText(settings(**changes))


@pytest.mark.parametrize("blend", [1.0, 0.5])
def test_classes_are_encoded_some_at_a_time(clip, monkeypatch, blend):
    names, learned = [f"{word} fish" for word in "abcdefg" * 10], prompts(clip, blend=blend)
    whole = class_features(clip, learned, TEMPLATE, names)
    sizes, own = [], classifier.over_devices

    def counting(*args, at_once, **options):
        sizes.append(at_once)
        return own(*args, at_once=at_once, **options)

    monkeypatch.setattr(classifier, "AT_ONCE", 32)
    monkeypatch.setattr(classifier, "over_devices", counting)
    np.testing.assert_allclose(class_features(clip, learned, TEMPLATE, names), whole, atol=1e-6)
    assert set(sizes) == {32 * jax.device_count()} and len(sizes) == (1 if blend == 1 else 2)
