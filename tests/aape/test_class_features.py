"""What stands for the classes: in training, in every evaluation and where a run is loaded."""

import json
import re
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

import aape_jax
from aape_jax.classification.bank import read_bank, read_known
from aape_jax.classification.class_texts import BankTexts, open_classes
from aape_jax.classification.corpus import known_sentences, read_corpus
from aape_jax.classification.evaluation import text_rows
from aape_jax.classification.material import gather
from aape_jax.classification.measuring import measure_heads
from aape_jax.core.class_features import CLASS_FEATURES
from aape_jax.core.head import Head
from common.config import read_config
from common.data import open_dataset
from common.errors import UserError
from common.pocket.datasets import SETS, pocket_descriptions
from common.training import train
from common.training.mesh import make_mesh
from common.training.method import find_method
from configs.aape import defaults, get_config
from tests.aape.feature_files import NAMES, WIDTH, features, texts
from tests.aape.problem import settings, vectors
from tests.aape.test_testsets import other
from tests.older import older_copy

KINDS = tuple(CLASS_FEATURES)
pytestmark = pytest.mark.usefixtures("quick_compiler")


def expected(file, kind, names=NAMES):
    """Of each class, from the file's own rows, one after the other."""
    with np.load(file) as archive:
        arrays = dict(archive)
    rows = []
    for name in names:
        label = list(arrays["classnames"]).index(name)
        template = arrays["class_features"][label]
        template = template / np.linalg.norm(template)
        sentences = arrays["prompt_features"][arrays["prompt_labels"] == label]
        sentences = [x / np.linalg.norm(x) for x in sentences] or [template]
        mean = np.mean(sentences, axis=0)
        mean = mean / np.linalg.norm(mean)
        both = (template + mean) / np.linalg.norm(template + mean)
        rows.append({"template": template, "sentences": mean, "mix": both}[kind])
    return np.stack(rows)


def with_stranger(file):
    """A class that has a template's feature and no sentence."""
    with np.load(file) as archive:
        arrays = dict(archive)
    arrays["classnames"] = np.append(arrays["classnames"], "stranger")
    new = vectors(1, WIDTH, seed=9)
    arrays["class_features"] = np.concatenate([arrays["class_features"], new])
    np.savez(file, **arrays)


def config_of(folder, kind, **changes):
    fields = {
        "model": "",
        "data": f"features:{folder / 'images.npz'}",
        "prompts.source": f"features:{folder / 'texts.npz'}",
        "classifier.classes": kind,
        **{"batch": 8, "subsample": "base", "shots": 4, "compare": "()", "baselines": "()"},
        **{"updates": 4, "steps_per_call": 2, "log_every": 2, "save_every": 4, "mesh.data": 1},
        **changes,
    }
    return get_config(",".join(f"{key}={value}" for key, value in fields.items()))


@pytest.fixture
def files(tmp_path):
    features(tmp_path)
    return texts(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_made_class_by_class(files, kind):
    found = read_bank(files, NAMES).features(kind)
    np.testing.assert_allclose(found, expected(files, kind), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_class_without_sentences_has_the_templates_feature(files, kind):
    with_stranger(files)
    names = ("stranger", NAMES[3], NAMES[0])
    bank = read_known(files, names)
    assert bank.told.tolist() == [False, True, True]
    np.testing.assert_allclose(bank.features(kind), expected(files, kind, names), atol=1e-6)
    np.testing.assert_array_equal(bank.features(kind)[0], bank.classes[0])


@pytest.mark.parametrize("kind", KINDS)
def test_training_and_every_test_set_read_one_kind(tmp_path, files, kind, capsys):
    with_stranger(files)
    names = (NAMES[1], "stranger", NAMES[4])
    config = config_of(tmp_path, kind, targets=f"({other(tmp_path, names)},)")
    method = find_method(config)
    method.open(make_mesh(1, 1))
    half = len(NAMES) // 2
    frozen = method.encode().frozen["classes"]
    np.testing.assert_allclose(frozen[kind], expected(files, kind, NAMES[:half]), atol=1e-6)
    wanted = {"base/": NAMES[:half], "new/": NAMES[half:], "other/": names}
    for prefix, test in method.material.tests.items():
        found = test.features(kind)
        np.testing.assert_allclose(found, expected(files, kind, wanted[prefix]), atol=1e-6)
    line = "has no sentence of 'stranger': the template's feature stands"
    assert capsys.readouterr().out.count(line) == (kind != "template")
    rows = text_rows(method.material.tests)
    assert "other/accuracy" in rows["clip"] and "other/accuracy" not in rows["cupl"]


def test_all_that_is_measured_is_of_the_same_kind(tmp_path, files):
    spec = other(tmp_path, (NAMES[5], NAMES[0], NAMES[2]))
    runs = {}
    for kind in ("template", "mix"):
        config = config_of(tmp_path, kind, targets=f"({spec},)", baselines="(clip_adapter,)")
        runs[kind] = train(find_method(config), tmp_path / kind)
    config = read_config(tmp_path / "mix", defaults())
    params = aape_jax.load(tmp_path / "mix").params
    head = Head.from_config(config)
    for prefix, test in gather(config).tests.items():
        w = expected(files, "mix", test.classnames)
        logits = head.logits(params, jnp.asarray(test.x), jnp.asarray(w))
        predicted = np.asarray(logits).argmax(axis=1)
        hits = np.mean(predicted == test.labels)
        assert runs["mix"]["metrics"][f"{prefix}accuracy"] == pytest.approx(hits)
    elsewhere = measure_heads(config, tmp_path / "mix", spec).metrics["accuracy"]
    assert elsewhere == runs["mix"]["metrics"]["other/accuracy"]
    # The rows of text alone are what they were; an adapter is given what AAPE is given.
    first, second = (runs[kind]["baselines"] for kind in runs)
    assert first["clip"] == second["clip"] and first["cupl"] == second["cupl"]
    assert first["clip_adapter"] != second["clip_adapter"]


def test_a_run_from_before_the_field_is_of_the_template(tmp_path, files):
    config = config_of(tmp_path, "template")
    result = train(find_method(config), tmp_path / "run")
    older = older_copy(tmp_path / "run", tmp_path / "older", "classifier.classes")
    config = read_config(older, defaults())
    assert config.classifier.classes == "template"
    metrics = measure_heads(config, older, None).metrics
    assert metrics["new/accuracy"] == result["metrics"]["new/accuracy"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"prompts.source": "none", "model": "pocket"}, "prompts.source=none names none: give"),
        ({"prompts.source": "features:FILE"}, "has no prompt_features: give sentences, or set"),
        ({"classifier.classes": "names"}, "classifier.classes='names' is unknown; choose one of"),
    ],
)
def test_what_cannot_be_is_one_sentence(tmp_path, files, changes, sentence):
    with np.load(files) as archive:
        bare = {name: archive[name] for name in ("classnames", "class_features")}
    np.savez(tmp_path / "bare.npz", **bare)
    changes = {key: value.replace("FILE", f"{tmp_path}/bare.npz") for key, value in changes.items()}
    config = config_of(tmp_path, "sentences", **changes)
    with pytest.raises(UserError, match=re.escape(sentence)):
        train(find_method(config), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    if "none names none" in sentence:
        with pytest.raises(UserError, match=r"set classifier\.classes=template"):
            open_classes(config.lock(), "pocket:rare", ("star",), ("mix",))


def test_the_same_sentences_are_drawn_of_a_class_wherever_it_stands():
    names = tuple(pocket_descriptions("rare"))
    config = settings(prompts__per_template=3)
    drawn = read_corpus(config, "pocket:rare", names)
    some = (names[7], "nobody", names[2])
    assert known_sentences(config, "pocket:rare", some, names) == (drawn[7], (), drawn[2])
    opened = open_classes(config, "pocket:rare", some, ("sentences",))
    assert isinstance(opened, BankTexts) and opened.sentences == (drawn[7], (), drawn[2])
    assert known_sentences(config, "folder:mine", some) == ((), (), ())
    alone = known_sentences(config, "pocket:second", tuple(pocket_descriptions("second")))
    turned = known_sentences(config, "pocket:second", tuple(pocket_descriptions("second"))[::-1])
    assert alone == turned[::-1]


def test_aliases_hold_for_strangers_too(tmp_path):
    (tmp_path / "corpus.json").write_text(json.dumps({"a": ["x"], "b": ["y"]}))
    (tmp_path / "aliases.json").write_text(json.dumps({"zebra": "b"}))
    config = settings(
        prompts__source=f"json:{tmp_path}/corpus.json", prompts__aliases=f"{tmp_path}/aliases.json"
    )
    assert known_sentences(config, "folder:x", ("zebra", "c", "a")) == (("y",), (), ("x",))
    assert known_sentences(config, "folder:x", ("c",)) == ((),)


def test_a_loaded_run_says_what_evaluation_measured(tmp_path, capsys, monkeypatch):
    few = replace(SETS["second"], train_shots=2, test_shots=4)
    monkeypatch.setitem(SETS, "second", few)
    fields = "data=pocket:second,classifier.classes=mix,prompts.per_template=4,batch=8,updates=4"
    loop = "steps_per_call=2,save_every=4,pictures=0,compare=(),baselines=(),mesh.data=1"
    config = get_config(f"{fields},{loop},cache={tmp_path / 'features'}")
    result = train(find_method(config), tmp_path / "run")
    run = aape_jax.load(tmp_path / "run")
    dataset = open_dataset("pocket:second")
    half = len(dataset.classnames) // 2
    new = dataset.test.take(np.flatnonzero(dataset.test.labels >= half))
    photos = [new.load(row) for row in range(len(new))]
    predictions = run.classify(photos, dataset.classnames[half:])
    truth = [dataset.classnames[label] for label in new.labels]
    hits = np.mean([name == right for name, right in zip(predictions.names, truth, strict=True)])
    assert hits == pytest.approx(result["metrics"]["new/accuracy"])
    base = gather(read_config(tmp_path / "run", defaults())).tests["base/"]
    np.testing.assert_allclose(run.class_features(), base.features("mix"), atol=1e-5)
    outline = find_method(config).abstract(make_mesh(1, 1)).frozen["classes"]
    assert {kind: x.shape for kind, x in outline.items()} == {"mix": run.class_features().shape}
    capsys.readouterr()
    run.class_features(("nobody", dataset.classnames[0]))
    assert "has no sentence of 'nobody'" in capsys.readouterr().out
