"""What stands for the classes: in training, in every evaluation and where a run is loaded."""

import json
import re
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import aape_jax
from aape_jax.classification import class_texts
from aape_jax.classification import method as method_module
from aape_jax.classification.bank import Bank, read_bank, read_known
from aape_jax.classification.class_texts import (
    UNREAD,
    BankTexts,
    open_bank,
    open_classes,
    say_untold,
    without_lost_sentences,
)
from aape_jax.classification.corpus import known_sentences, read_corpus
from aape_jax.classification.evaluation import text_rows
from aape_jax.classification.inputs import open_inputs
from aape_jax.classification.material import gather
from aape_jax.classification.measuring import measure_heads
from aape_jax.classification.summary import advice, summary
from aape_jax.core.class_features import CLASS_FEATURES
from aape_jax.core.head import Head
from common.checks import check_unread
from common.config import changed, read_config
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


def test_a_blend_is_chosen_on_a_finished_run(tmp_path, files):
    """Of nothing but the image it is CuPL's classifier."""
    del files
    results = [
        train(
            find_method(config_of(tmp_path, "sentences", **{"classifier.blend": blend})),
            tmp_path / "run",
        )
        for blend in (1.0, 0.0)
    ]
    trained, plain = (result["metrics"] for result in results)
    cupl = results[1]["baselines"]["cupl"]
    assert results[0]["baselines"]["cupl"] == cupl
    for name in ("base/accuracy", "new/accuracy"):
        assert plain[name] == cupl[name]
    assert trained["base/accuracy"] != plain["base/accuracy"]
    config = read_config(tmp_path / "run", defaults())
    assert config.classifier.blend == 0.0
    measured = measure_heads(config, tmp_path / "run", None).metrics
    assert measured["new/accuracy"] == cupl["new/accuracy"]
    assert aape_jax.load(tmp_path / "run").head.blend == 0.0


def test_a_run_from_before_the_field_is_of_the_template(tmp_path, files):
    config = config_of(tmp_path, "template", **{"classifier.blend": 1.0})
    result = train(find_method(config), tmp_path / "run")
    older = older_copy(
        tmp_path / "run", tmp_path / "older", "classifier.classes", "classifier.blend"
    )
    config = read_config(older, defaults())
    assert config.classifier.classes == "template" and config.classifier.blend == 1.0
    metrics = measure_heads(config, older, None).metrics
    assert metrics["new/accuracy"] == result["metrics"]["new/accuracy"]


@pytest.mark.parametrize("kind", KINDS)
def test_without_any_sentence_the_template_stands_for_every_class(tmp_path, files, kind, capsys):
    with np.load(files) as archive:
        bare = {name: archive[name] for name in ("classnames", "class_features")}
    np.savez(tmp_path / "bare.npz", **bare)
    spec = other(tmp_path, (NAMES[1], NAMES[4]))
    source = f"features:{tmp_path / 'bare.npz'}"
    config = config_of(tmp_path, kind, targets=f"({spec},)", **{"prompts.source": source})
    said = f"prompts.source={source} has no sentences: the template's feature stands for every"
    tests = gather(config).tests
    assert capsys.readouterr().out.count(said) == (kind != "template")
    for test in tests.values():
        np.testing.assert_allclose(test.features(kind), test.w, atol=1e-6)
    assert set(text_rows(tests)) == {"clip"}

    config = settings(classifier__classes=kind, prompts__source="none")
    names = ("star", "heart")
    opened = open_bank(config, "pocket:rare", names)
    assert capsys.readouterr().out.count("prompts.source=none has no sentences") == (
        kind != "template"
    )
    assert opened.sentences == tuple((f"a photo of a {name}",) for name in names)
    stranger = open_classes(config, "pocket:second", names, (kind,))
    say_untold(config, (kind,), names, stranger.told)
    assert capsys.readouterr().out == "" and not stranger.told.any()


def test_an_unknown_kind_is_refused(tmp_path, files):
    del files
    sentence = "classifier.classes='names' is unknown; choose one of"
    with pytest.raises(UserError, match=re.escape(sentence)):
        train(find_method(config_of(tmp_path, "names")), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("photos", "by_template", "by_sentences", "told"),
    [(20, 20, 10, True), (20, 10, 20, False), (20, 20, 18, False), (20, 20, 20, False)],
)
def test_sentences_that_tell_less_than_names_are_pointed_out(
    tmp_path, files, photos, by_template, by_sentences, told
):
    """Of a photo's four numbers the template reads the first two, sentences the others."""
    del files
    config = config_of(tmp_path, "sentences")
    labels = np.zeros(photos, int)
    rows = np.arange(photos)
    x = np.zeros((1, photos, 4))
    x[0, rows, np.where(rows < by_template, 0, 1)] = 1.0
    x[0, rows, np.where(rows < by_sentences, 2, 3)] = 1.0
    template, sentences = np.eye(4)[:2], np.eye(4)[2:]
    bank = Bank(template, sentences[:, None], np.ones((2, 1), bool))
    material = replace(gather(config), bank=bank, learned=np.arange(2), x=x, labels=labels)
    line = advice(config, material)
    if not told:
        assert line == ""
        return
    assert "finds the class of 50% of the training photos, the template that of 100%" in line
    assert "classifier.classes=template,loss.distill=false" in line
    assert advice(changed(config, {"classifier.classes": "template"}), material) == ""


def test_the_same_sentences_are_drawn_of_a_class_wherever_it_stands(monkeypatch):
    names = tuple(pocket_descriptions("rare"))
    config = settings(prompts__per_template=3)
    drawn = read_corpus(config, "pocket:rare", names)
    some = (names[7], "nobody", names[2])
    assert known_sentences(config, "pocket:rare", some, names) == (drawn[7], (), drawn[2])
    opened = open_classes(config, "pocket:rare", some, ("sentences",))
    assert isinstance(opened, BankTexts) and opened.sentences == (drawn[7], (), drawn[2])
    monkeypatch.setattr(class_texts, "open_dataset", lambda *_, **__: pytest.fail("opened twice"))
    assert open_classes(config, "pocket:rare", some, ("sentences",), names) == opened
    assert known_sentences(config, "folder:mine", some, names) == (drawn[7], (), drawn[2])
    respelled = tuple(name.upper() for name in some)
    assert known_sentences(config, "folder:mine", respelled, names) == (drawn[7], (), drawn[2])
    assert known_sentences(config, "folder:mine", ("cat", "dog")) == ((), ())
    alone = known_sentences(config, "pocket:second", tuple(pocket_descriptions("second")))
    turned = known_sentences(config, "pocket:second", tuple(pocket_descriptions("second"))[::-1])
    assert alone == turned[::-1]


def test_lost_sentences_are_told_where_they_are_read(tmp_path, capsys):
    config = settings(prompts__source=f"json:{tmp_path / 'gone.json'}")
    assert without_lost_sentences(config, ("template",)) == config
    assert capsys.readouterr().out == ""
    assert without_lost_sentences(config, ("template", "mix")).prompts.source == "none"
    assert capsys.readouterr().out.count("gone.json is missing") == 1


def test_aliases_hold_for_strangers_too(tmp_path):
    (tmp_path / "corpus.json").write_text(json.dumps({"a": ["x"], "b": ["y"]}))
    (tmp_path / "aliases.json").write_text(json.dumps({"zebra": "b"}))
    config = settings(
        prompts__source=f"json:{tmp_path}/corpus.json", prompts__aliases=f"{tmp_path}/aliases.json"
    )
    assert known_sentences(config, "folder:x", ("zebra", "c", "a")) == (("y",), (), ("x",))
    assert known_sentences(config, "folder:x", ("c",)) == ((),)


def test_a_class_with_an_alias_has_no_other_key(tmp_path):
    """As in training, where two keys that are like its name are no matter."""
    (tmp_path / "corpus.json").write_text(json.dumps({"sea_fish": ["x"], "Sea Fish": ["y"]}))
    (tmp_path / "aliases.json").write_text(json.dumps({"seafish": "Sea Fish"}))
    config = settings(
        prompts__source=f"json:{tmp_path}/corpus.json", prompts__aliases=f"{tmp_path}/aliases.json"
    )
    expected = (("y",),)
    assert read_corpus(config, "folder:x", ("seafish",)) == expected
    assert known_sentences(config, "folder:x", ("seafish",)) == expected


@pytest.mark.parametrize("source", ["none", "features:texts.npz"])
@pytest.mark.parametrize("field", ["aliases=names.json", "per_template=3", "per_template=0"])
def test_fields_about_sentences_are_refused_where_there_are_none(source, field):
    config = get_config(f"prompts.source={source},prompts.{field}")
    sentence = f"prompts.{field} changes nothing with prompts.source={source}: leave it out"
    with pytest.raises(UserError, match=re.escape(sentence)):
        check_unread(config, get_config(), UNREAD)
    for fine in (f"prompts.source={source}", f"prompts.{field}"):
        check_unread(get_config(fine), get_config(), UNREAD)


def test_no_photo_is_drawn_twice_beside_its_sentences(tmp_path, small_second, monkeypatch):
    drawn = []

    def draw(photos, *_):
        drawn.append(len(photos))
        return np.zeros((1, 1, 3), np.uint8)

    monkeypatch.setattr(method_module, "attention_picture", draw)
    fields = f"{small_second},cache={tmp_path / 'features'}".replace("pictures=0", "pictures=99")
    method = find_method(get_config(fields))
    mesh = make_mesh(1, 1)
    frozen = method.load(mesh).frozen
    trainable = method.init(jax.random.key(0))
    method._attention(trainable["aape"], frozen)
    assert drawn == [8 * 2]


def test_photos_elsewhere_of_the_runs_classes_are_measured_as_in_training(tmp_path, small_second):
    """The bundled sentences stand for the run's classes wherever photos of them lie."""
    second = open_dataset("pocket:second")
    for row, label in enumerate(second.test.labels):
        folder = tmp_path / "photos" / second.classnames[label]
        folder.mkdir(parents=True, exist_ok=True)
        second.test.load(row).save(folder / f"{row}.png")
    spec = f"folder:{tmp_path / 'photos'}"
    fields = f"{small_second},targets=({spec},),cache={tmp_path / 'features'}"
    result = train(find_method(get_config(fields)), tmp_path / "run")
    config = read_config(tmp_path / "run", defaults())
    found = measure_heads(config, tmp_path / "run", spec)
    assert found.metrics["accuracy"] == result["metrics"]["photos/accuracy"]
    for row in ("clip", "cupl", "paper"):
        expected = result["baselines"][row]["photos/accuracy"]
        assert found.baselines[row]["accuracy"] == expected


@pytest.fixture
def small_second(monkeypatch):
    """`pocket:second` with a few photos."""
    few = replace(SETS["second"], train_shots=2, test_shots=4)
    monkeypatch.setitem(SETS, "second", few)
    loop = "batch=8,updates=4,steps_per_call=2,save_every=4,mesh.data=1"
    return f"data=pocket:second,{loop},pictures=0,compare=(),baselines=()"


@pytest.mark.parametrize(("source", "count"), [("pocket", 160), ("none", 0)])
def test_the_first_table_counts_sentences_and_no_templates(small_second, source, count):
    table = summary(open_inputs(get_config(f"{small_second},prompts.source={source}")))
    told = f", with {count} sentences" if count else "of these classes"
    assert table["learns from"].endswith(told)


def test_only_learned_classes_need_sentences(tmp_path, small_second, capsys):
    names = open_dataset("pocket:second").classnames
    told = {name: ["a star"] for name in names[:8]}
    source = tmp_path / "base.json"
    source.write_text(json.dumps(told))
    fields = f"{small_second},prompts.source=json:{source},cache={tmp_path / 'features'}"
    tests = gather(get_config(fields)).tests
    line = f"json:{source} has no sentence of '{names[8]}', "
    assert capsys.readouterr().out.count(line) == 1
    np.testing.assert_array_equal(tests["new/"].features("sentences"), tests["new/"].w)
    assert tests["base/"].bank.told.all() and set(text_rows(tests)["cupl"]) == {"base/accuracy"}
    source.write_text(json.dumps({name: ["a star"] for name in names[1:]}))
    with pytest.raises(UserError, match=f"the class '{names[0]}' has no sentence in json:"):
        open_inputs(get_config(fields))
    open_inputs(get_config(f"{fields},subsample=new"))
    assert "no sentence of" not in capsys.readouterr().out


def test_only_learned_classes_need_encoded_sentences(tmp_path, files, capsys):
    with np.load(files) as archive:
        arrays = dict(archive)
    base = arrays["prompt_labels"] < len(NAMES) // 2
    for name in ("prompt_features", "prompt_labels"):
        arrays[name] = arrays[name][base]
    np.savez(files, **arrays)
    spec = other(tmp_path, (NAMES[5], NAMES[0]))
    tests = gather(config_of(tmp_path, "sentences", targets=f"({spec},)")).tests
    found = {prefix: test.bank.told.tolist() for prefix, test in tests.items()}
    assert found == {"base/": [True] * 3, "new/": [False] * 3, "other/": [False, True]}
    said = capsys.readouterr().out
    assert f"has no sentence of '{NAMES[3]}', '{NAMES[4]}', '{NAMES[5]}':" in said
    assert f"has no sentence of '{NAMES[5]}':" in said
    with pytest.raises(UserError, match="the class class_3 has no prompts"):
        gather(config_of(tmp_path, "sentences", subsample="all"))


def test_sentences_that_the_tower_cuts_are_counted_by_class(tmp_path, small_second, capsys):
    first, second, *others = pocket_descriptions("second")
    long = "a red star " * 20
    told = {first: [long, "a star", f"{long} too"], second: [long, "a sign"]}
    told |= {name: [f"a {name}"] for name in others}
    (tmp_path / "long.json").write_text(json.dumps(told))
    fields = f"prompts.source=json:{tmp_path / 'long.json'},cache={tmp_path / 'features'}"
    material = gather(get_config(f"{small_second},{fields}"))
    line = f"3 sentences longer than the text tower reads ({first} 2, {second} 1): cut."
    assert capsys.readouterr().out.splitlines().count(line) == 1
    assert material.bank.mask.sum(axis=1)[:2].tolist() == [3, 2]


@pytest.mark.parametrize("source", ["pocket", "none"])
def test_templates_that_the_tower_cuts_are_named(tmp_path, small_second, source, capsys):
    template = f"{'a large photo ' * 10} of a {{}}"
    fields = f"classifier.template={template},prompts.source={source},cache={tmp_path}"
    gather(get_config(f"{small_second},{fields}"))
    said = capsys.readouterr().out
    assert "16 filled templates longer than the text tower reads ('a large photo" in said
    assert ("sentences longer than" in said) == (source == "pocket")
    assert "sentence longer than" not in said


def test_a_run_whose_sentences_stayed_elsewhere_knows_other_classes(tmp_path, small_second, capsys):
    sentences = tmp_path / "sentences.json"
    sentences.write_text(json.dumps(pocket_descriptions("second")))
    fields = f"prompts.source=json:{sentences},cache={tmp_path / 'features'}"
    train(find_method(get_config(f"{small_second},{fields}")), tmp_path / "run")
    names = open_dataset("pocket:second").classnames[8:10]
    told = aape_jax.load(tmp_path / "run").class_features(names)
    sentences.unlink()
    capsys.readouterr()
    run = aape_jax.load(tmp_path / "run")
    found = run.class_features(names)
    line = f"{sentences} is missing: the template's feature stands for every class."
    assert capsys.readouterr().out.count(line) == 1
    texts = [f"a photo of a {name}" for name in names]
    np.testing.assert_allclose(found, run.clip.text_features(texts), atol=1e-5)
    assert np.abs(found - told).max() > 0.01
    config = read_config(tmp_path / "run", defaults())
    assert measure_heads(config, tmp_path / "run", "pocket:rare").metrics["accuracy"] > 0
    assert capsys.readouterr().out.count(line) == 1
    for strict in (run.class_features, lambda: measure_heads(config, tmp_path / "run", None)):
        with pytest.raises(UserError, match="is missing"):
            strict()


def test_a_loaded_run_says_what_evaluation_measured(tmp_path, small_second, capsys):
    fields = "classifier.classes=mix,prompts.per_template=4"
    config = get_config(f"{small_second},{fields},cache={tmp_path / 'features'}")
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
