"""Settings and data of ProText that leave nothing to learn or to measure, or come too late."""

import json
import re

import jax
import numpy as np
import pytest

from common.clip import load_clip
from common.data import FeatureDataset, FeatureSplit
from common.errors import UserError
from common.training.mesh import make_mesh
from configs.protext import get_config
from protext_jax import testsets, training_texts
from protext_jax.classifier import class_features
from protext_jax.classnames import open_named
from protext_jax.learned import LearnedPrompts
from protext_jax.method import ProText
from protext_jax.options import PLENTY, held_out_of, with_data
from protext_jax.recipes import RECIPES
from protext_jax.runs import RunSetting
from protext_jax.testsets import make_test_sets, unmeasured
from protext_jax.training_texts import gather_texts
from tests.protext.tiny import settings

pytestmark = pytest.mark.usefixtures("quick_compiler")

WIDTH = 128  # of the pocket CLIP
CORPUS = {"red star": ["A red star.", "The star."], "fish": ["A fish.", "The fish swims."]}


@pytest.fixture(scope="module")
def clip():
    return load_clip("pocket")


def split(labels, width=WIDTH):
    rng = np.random.default_rng(0)
    features = rng.standard_normal((len(labels), width)).astype(np.float32)
    return FeatureSplit(np.asarray(labels, np.int64), features)


def write(folder, name, names, train=(), test=(), width=WIDTH):
    arrays = {"classnames": np.array(names)}
    for part, labels in (("train", train), ("test", test)):
        own = split(labels, width)
        arrays |= {f"{part}_features": own.features, f"{part}_labels": own.labels}
    np.savez(folder / f"{name}.npz", **arrays)
    return f"features:{folder / name}.npz"


@pytest.fixture
def load(tmp_path):
    """The method of some changes of a small run after `load`."""
    corpus = tmp_path / "corpus.json"
    corpus.write_text(json.dumps(CORPUS))

    def make(**changes):
        where = {
            "prompts.source": f"json:{corpus}",
            "cache": str(tmp_path / "cache"),
            "baselines": (),
        }
        method = ProText(settings(**{**where, "epochs": 7, **changes}))
        method.told = []
        return method, method.load(make_mesh(1, 1), method.told.append)

    return make


FAULTS = {
    "a target without photos": ({"test": []}, "has no test pictures, so nothing can be measured"),
    "a target of one class": ({"names": ["ox"], "test": [0]}, "has 1 class to choose from"),
    "features of another width": ({"test": [0, 1], "width": 64}, "features have width 64"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_targets_are_looked_at_before_training(load, tmp_path, name):
    changes, sentence = FAULTS[name]
    spec = write(tmp_path, "other", **{"names": ["ox", "cow"], **changes})
    with pytest.raises(UserError, match=sentence):
        load(targets=(spec,))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"coop_shots": 1}, "has test photos alone: give coop_shots=0"),
        ({"coop_shots": -1}, "coop_shots=-1 needs photos"),
        ({"protocol": "base_to_new"}, "whose halves are 1 base and 1 new"),
        ({"test_template": "{} and {}"}, "needs one {} for the class name"),
        ({"test_template": "{name}"}, "needs one {} for the class name"),
        ({"test_template": "a {}"}, "would overwrite the class name"),
        ({"template": "a {}"}, "would overwrite the class name"),
        ({"early_stop": 1, "eval_every": 1}, "goes by held-out sentences"),
        ({"protocol": "zero_shot"}, "protocol='zero_shot' is unknown"),
        ({"prompts.kind": "web"}, "kind='web' is unknown"),
        ({"prompts.kind": "attributes", "data": "none"}, "is about the classes of data"),
        ({"prompts.pattern": "a {name}"}, "needs {phrase}"),
        ({"length": 60}, "positions|tokens"),
    ],
)
def test_settings_that_do_not_fit_the_data(load, tmp_path, changes, sentence):
    own = write(tmp_path, "own", list(CORPUS), test=[0, 1, 1])
    with pytest.raises(UserError, match=sentence):
        load(**{"data": own, **changes})


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            "prompts.pattern=It has {phrase}.",
            "prompts.pattern=It has .* with prompts.source=pocket",
        ),
        (
            "prompts.source=json:a.json,prompts.pattern=a {phrase},prompts.kind=attributes",
            "prompts.pattern=a .* changes nothing with prompts.kind=attributes: leave it out, or ",
        ),
        ("grid.epochs=(10,20)", r"grid.epochs=\(10, 20\) changes nothing with sweep=False"),
        ("early_stop_gain=0.1", "early_stop_gain=0.1 changes nothing with early_stop=0"),
    ],
)
def test_what_nothing_reads_is_refused(given, told):
    with pytest.raises(UserError, match=told):
        ProText(get_config(given))


@pytest.mark.parametrize(
    "given",
    [
        "learning_rate=0",
        "sweep=true,grid.learning_rate=(0,)",
        "sweep=true,grid.learning_rate=(-1,)",
        "sweep=true,grid.learning_rate=(inf,)",
        "sweep=true,grid.epochs=(0,)",
        "sweep=true,grid.seed=(-1,)",
    ],
)
def test_values_of_a_sweep_are_bounded_as_those_of_a_run(given):
    name = given.removeprefix("sweep=true,").partition("=")[0]
    with pytest.raises(UserError, match=rf"^{re.escape(name)}=\S+ is out of range: give a number "):
        ProText(get_config(given))


def test_names_that_fit_nothing_are_refused_before_training(load, tmp_path):
    own = write(tmp_path, "own", list(CORPUS), test=[0, 1, 1])
    (tmp_path / "names.json").write_text(json.dumps({"n01": "tench"}))
    with pytest.raises(UserError, match="fits no class: it renames 'n01'"):
        load(data=own, names=str(tmp_path / "names.json"))


def test_names_find_other_spellings(tmp_path):
    own = write(tmp_path, "own", ["AnnualCrop", "fish"], test=[0, 1])
    (tmp_path / "names.json").write_text(json.dumps({"annual_crop": "a field"}))
    dataset = open_named(own, 1, str(tmp_path / "names.json"))
    assert dataset.classnames == ("a field", "fish")


def opened(monkeypatch, names, test):
    made = FeatureDataset("mine", tuple(names), train=split([]), test=split(test))
    for module in (testsets, training_texts):
        monkeypatch.setattr(module, "open_named", lambda *_: made)
    return made


SETS = {
    "no photos": ("all_classes", 3, [], [], ["has no test pictures"]),
    "one class": ("all_classes", 1, [0], [], ["has 1 class"]),
    "a half without photos": ("base_to_new", 4, [0, 1], ["base/"], ["(new classes) has no test"]),
    "all in order": ("base_to_new", 4, [0, 1, 2, 3], ["base/", "new/"], []),
}


@pytest.mark.parametrize("name", SETS)
def test_what_cannot_be_measured_is_said(monkeypatch, clip, name):
    protocol, classes, test, prefixes, lines = SETS[name]
    opened(monkeypatch, [f"class {n}" for n in range(classes)], test)
    config = settings(data="x", prompts={"kind": "templates"}, protocol=protocol, targets=())
    found = gather_texts(config, clip.tokenizer)
    assert [test.prefix for test in make_test_sets(config, found)] == prefixes
    said = unmeasured(config, found)
    assert len(said) == len(lines) and all(x in y for x, y in zip(lines, said, strict=True))


def test_a_class_whose_name_occurs_twice_is_trained_twice_from_templates(monkeypatch, clip):
    opened(monkeypatch, ["missile", "sunglasses", "missile"], [0, 1, 2])
    config = settings(
        data="x", prompts={"kind": "templates"}, protocol="all_classes", held_out=0, targets=()
    )
    found = gather_texts(config, clip.tokenizer)
    assert found.names == ("missile", "sunglasses", "missile")
    assert np.bincount(found.label).tolist() == [79, 79, 79]
    config = settings(
        data="x",
        prompts={"kind": "attributes"},
        protocol="all_classes",
        targets=(),
        held_out=0,
    )
    assert np.bincount(gather_texts(config, clip.tokenizer).label).tolist() == [46, 46, 46]


@pytest.mark.parametrize(("source", "spelled"), [("templates", "yin yang"), ("sentences", None)])
def test_underscores_stay_in_keys_of_files_alone(monkeypatch, clip, tmp_path, source, spelled):
    opened(monkeypatch, ["yin_yang", "fish"], [0, 1])
    corpus = tmp_path / "corpus.json"
    corpus.write_text(json.dumps({"yin_yang": ["a"], "fish": ["b"]}))
    changes = {
        **{"prompts.kind": source, "prompts.source": f"json:{corpus}"},
        **{"length": 5, "protocol": "all_classes"},
    }
    config = settings(data="x", targets=(), **changes)
    config.faithful.underscores = True
    ids = gather_texts(config, clip.tokenizer).templates.ids
    text = f"X X X X X {spelled or 'yin_yang'}."
    assert ids[0].tolist() == clip.tokenizer([text])[0].tolist()


@pytest.mark.parametrize(
    ("protocol", "template"),
    [
        ("cross_dataset", "a photo of a {}, a type of a texture."),
        ("all_classes", "a photo of a {}."),
        ("domain_generalisation", "a photo of a {}."),
    ],
)
def test_across_data_sets_the_own_has_its_template_too(monkeypatch, clip, protocol, template):
    made = FeatureDataset("dtd", ("a", "b"), train=split([]), test=split([0, 1]))
    for module in (testsets, training_texts):
        monkeypatch.setattr(module, "open_named", lambda *_: made)
    config = settings(data="x", prompts={"kind": "templates"}, protocol=protocol, targets=())
    (own,) = make_test_sets(config, gather_texts(config, clip.tokenizer))
    assert own.template == template


def test_rounded_prompts_are_rounded_wherever_they_are_used(clip):
    prompts = np.random.default_rng(0).standard_normal((3, 4, clip.config.text.width))
    run = RunSetting(0.01, 1, 0)
    config = settings()
    plain = LearnedPrompts.of(config, clip.fingerprint, {"prompts": prompts.astype("f4")}, run)
    assert not plain.half and "half" not in plain.metadata
    config.faithful.half, config.fast = True, False
    half = LearnedPrompts.of(config, clip.fingerprint, {"prompts": prompts.astype("f4")}, run)
    deep = prompts.astype(np.float16).astype(np.float32)
    deep[0] = prompts[0]
    rounded = LearnedPrompts({"prompts": deep}, plain.metadata)
    given = clip, "a photo of a {}.", ["fish", "star"]
    features = [class_features(given[0], x, *given[1:]) for x in (half, rounded, plain)]
    np.testing.assert_array_equal(features[0], features[1])
    assert not np.array_equal(features[0], features[2])


@pytest.mark.parametrize(
    ("wanted", "sentences", "held"),
    [
        (-1, 3, 0),
        (-1, PLENTY - 1, 0),
        (-1, PLENTY, 2),
        (-1, 20, 2),
        (2, 3, 2),
        (5, 3, 2),
        (0, 9, 0),
    ],
)
def test_few_sentences_are_all_learned_from(wanted, sentences, held):
    assert held_out_of(settings(held_out=wanted), sentences) == held


@pytest.mark.parametrize(
    ("arg", "protocol", "held"),
    [
        ("", "base_to_new", 2),
        ("data=pocket:named", "base_to_new", 2),
        ("prompts.source=x.json", "all_classes", -1),
        ("data=folder:x,prompts.source=x.json", "all_classes", -1),
        ("data=folder:x,prompts.source=x.json,protocol=base_to_new", "base_to_new", -1),
        ("recipe=dtd", "base_to_new", 0),
        ("recipe=dtd,protocol=all_classes", "all_classes", 0),
        ("recipe=imagenet,protocol=cross_dataset", "cross_dataset", 0),
    ],
)
def test_papers_halves_are_for_papers_data(arg, protocol, held):
    config = with_data(get_config(arg))
    assert (config.protocol, config.held_out) == (protocol, held)
    if config.recipe:
        assert config.epochs == RECIPES["code"][protocol][config.recipe][0]


def test_a_summary_says_what_is_learned_from(load, tmp_path):
    own = write(tmp_path, "own", [*CORPUS, "ox"], test=[0, 1, 2, 2])
    corpus = {**CORPUS, "cow": ["A cow."], "fish": ["fish " * 99, "A fish."]}
    (tmp_path / "more.json").write_text(json.dumps(corpus))
    method, _ = load(data=own, prompts={"source": f"json:{tmp_path}/more.json"})
    (summary,) = method.told
    assert summary == {
        "classes": "2 of 3",
        "learns from": "3 of 4 sentences",
        "passed over": "1 class without a sentence, 1 key of the corpus, 1 sentence too long",
        "kept for the test": "4 pictures of 3 known classes",
    }
    fields = method.evaluation_fields
    assert {"targets", "descriptors", "words", "test_template"} <= set(fields)
    assert all(name.partition(".")[0] in method.config for name in fields)
    assert not jax.config.jax_debug_nans
