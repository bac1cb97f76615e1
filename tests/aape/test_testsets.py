"""Other data sets: over their own classes, from names alone."""

from dataclasses import replace

import numpy as np
import pytest

from aape_jax.classification import evaluation
from aape_jax.classification.evaluation import learned_rows, learned_tests, text_rows
from aape_jax.classification.material import gather
from aape_jax.classification.measuring import open_other_set
from common.errors import UserError
from common.evaluation.classification import normalise
from configs.aape import get_config
from tests.aape.feature_files import CLASSES, NAMES, WIDTH, features, texts
from tests.aape.problem import vectors


def other(folder, names, name="other"):
    """A data set of some classes that has nothing to learn from."""
    file = folder / f"{name}.npz"
    labels = np.arange(2 * len(names)) % len(names)
    np.savez(
        file,
        classnames=np.array(names),
        train_features=np.zeros((0, WIDTH), np.float32),
        train_labels=np.zeros(0, int),
        test_features=vectors(len(labels), WIDTH, seed=8),
        test_labels=labels,
    )
    return f"features:{file}"


def settings(folder, targets, arg="subsample=all"):
    where = f"model=,data=features:{features(folder)},prompts.source=features:{texts(folder)}"
    return get_config(f"{where},shots=2,targets=({','.join(targets)}),{arg}").lock()


def test_a_target_is_measured_over_its_own_classes(tmp_path):
    reversed_names = tuple(reversed(NAMES))[:4]
    material = gather(settings(tmp_path, [other(tmp_path, reversed_names)]))
    assert list(material.tests) == ["", "other/"]
    own, target = material.tests.values()
    rows = [NAMES.index(name) for name in reversed_names]
    np.testing.assert_array_equal(target.w, own.w[rows])
    np.testing.assert_array_equal(target.means, own.means[rows])
    assert set(learned_tests(material)) == {""}
    assert set(text_rows(material.tests)["cupl"]) == {"accuracy", "other/accuracy"}


def test_the_same_classes_elsewhere_are_learned_ones(tmp_path):
    material = gather(settings(tmp_path, [other(tmp_path, NAMES)]))
    assert set(learned_tests(material)) == {"", "other/"}


@pytest.mark.parametrize("subsample", ["all", "base"])
def test_what_was_not_learned_from_is_measured(tmp_path, subsample, capsys):
    """Photos beyond the shots and of the new classes, where a target has them without parts."""
    with np.load(features(tmp_path)) as archive:
        rows, labels = archive["train_features"], archive["train_labels"]
    np.savez(tmp_path / "whole.npz", classnames=NAMES, features=rows, labels=labels)
    spec = f"features:{tmp_path / 'whole.npz'}"
    config = settings(tmp_path, [spec], f"subsample={subsample}")
    material = gather(config)
    learned = len(material.labels)
    assert f"left out, as learned from: {learned}." in capsys.readouterr().out
    known = {row.tobytes() for row in material.x[0]}
    new = [x for x in normalise(rows) if x.tobytes() not in known]
    assert len(new) == len(rows) - learned > 0
    np.testing.assert_array_equal(material.tests["whole/"].x, new)
    _, encode = open_other_set(config, tmp_path, spec)
    np.testing.assert_array_equal(encode()[""].x, new)


def test_domains_show_some_of_the_classes(tmp_path):
    spec = other(tmp_path, NAMES)
    file = spec.removeprefix("features:")
    with np.load(file) as archive:
        arrays = dict(archive)
    few = arrays["test_labels"] < 2
    for name in ("test_features", "test_labels"):
        arrays[name] = arrays[name][few]
    np.savez(file, **arrays)
    whole, domain = (
        gather(settings(tmp_path, [spec], f"subsample=all,protocol={protocol}")).tests["other/"]
        for protocol in ("cross_dataset", "domain_generalisation")
    )
    assert (len(whole.classnames), len(domain.classnames)) == (CLASSES, 2)


def test_cupl_has_nothing_to_say_without_sentences(tmp_path):
    file = texts(tmp_path)
    with np.load(file) as archive:
        arrays = dict(archive)
    arrays["classnames"] = np.append(arrays["classnames"], "stranger")
    arrays["class_features"] = np.concatenate([arrays["class_features"], vectors(1, WIDTH)])
    config = settings(tmp_path, [other(tmp_path, (NAMES[0], "stranger"))])
    np.savez(file, **arrays)
    found = text_rows(gather(config).tests)
    assert set(found["clip"]) == {"accuracy", "other/accuracy"}
    assert set(found["cupl"]) == {"accuracy"}


def test_a_class_without_a_feature(tmp_path):
    config = settings(tmp_path, [other(tmp_path, (NAMES[0], "stranger"))])
    with pytest.raises(UserError, match="has no feature of the class 'stranger'"):
        gather(config)


@pytest.mark.parametrize(
    ("measured", "named", "told"),
    [
        ("both", ("tip_adapter", "clip_adapter", "linear_probe"), ""),
        ("other/", ("clip_adapter",), "tip_adapter, linear_probe: left out"),
        ("", (), ""),
    ],
)
def test_a_baseline_that_cannot_be_measured_is_not_trained(
    tmp_path, monkeypatch, capsys, measured, named, told
):
    config = settings(
        tmp_path,
        [other(tmp_path, NAMES[:2])],
        "subsample=all,baselines=(tip_adapter,clip_adapter,linear_probe)",
    )
    material = gather(config)
    tests = {x: test for x, test in material.tests.items() if measured in ("both", x) and measured}
    trained = []

    def measure(name, *_):
        trained.append(name)
        return {"accuracy": 1.0}

    rows = {name: replace(row, measure=measure) for name, row in evaluation.ROWS.items()}
    monkeypatch.setattr(evaluation, "ROWS", rows)
    rows = learned_rows(config, replace(material, tests=tests))
    assert tuple(rows) == tuple(trained) == named
    said = capsys.readouterr().out
    assert (told in said) and said.count("left out") == bool(told)
