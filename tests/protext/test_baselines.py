"""Class features of other methods, from the same model and texts."""

import json
from dataclasses import replace

import numpy as np
import pytest

from common.clip import load_clip
from common.data import FeatureSplit
from common.data.clip_texts import text_features
from common.evaluation.classification import normalise
from common.protocols.corpus import match_texts
from protext_jax import testsets
from protext_jax.baseline_texts import baseline_texts, read_material
from protext_jax.baselines import check_cupl, text_baselines
from tests.protext.tiny import settings

pytestmark = pytest.mark.usefixtures("quick_compiler")

TOLD = {"red_star": ("A red star.", "A star."), "fish": ("A fish.",)}


@pytest.fixture(scope="module")
def clip():
    return load_clip("pocket")


def sets(*names):
    none = FeatureSplit(np.zeros(0, int), np.zeros((0, 1), np.float32))
    return testsets.TestSet("", "", names, none, "a photo of a {}.", "{} texture.")


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "descriptors.json"
    file.write_text(json.dumps({"Red Star": ["five points", "red colour"]}))
    return settings(
        cache=str(tmp_path), descriptors=str(file), baselines=("cupl", "dclip", "waffle_clip")
    )


def test_what_each_averages(config, clip, tmp_path):
    material = read_material(config, TOLD)
    found = text_baselines(config, clip, [sets("red star", "fish")], material)[""]
    assert set(found) == {"clip", *config.baselines}

    def unit(*texts):
        return normalise(text_features(clip, texts, tmp_path))

    np.testing.assert_allclose(found["clip"][0], unit("red star texture.")[0], atol=1e-5)
    cupl = normalise(unit("A red star.", "A star.").mean(0, keepdims=True))[0]
    np.testing.assert_allclose(found["cupl"][0], cupl, atol=1e-5)
    # DCLIP averages similarities, so this one is shorter than 1.
    described = [f"a photo of a red star, which has {x}." for x in ("five points", "red colour")]
    np.testing.assert_allclose(found["dclip"][0], unit(*described).mean(0), atol=1e-5)
    np.testing.assert_allclose(found["dclip"][1], unit("fish texture.")[0], atol=1e-5)


def test_without_sentences_about_a_class_there_is_no_cupl(config, clip):
    material = read_material(config, TOLD)
    found = text_baselines(config, clip, [sets("red star", "dog")], material)[""]
    assert set(found) == {"clip", "waffle_clip", "dclip"}


def test_a_line_names_the_sets_on_which_cupl_is_clip(config):
    material = read_material(config, TOLD)
    told, own = sets("red star", "fish"), sets("red star", "dog")
    other = replace(sets("cat", "dog", "fish"), prefix="other/")
    assert check_cupl(config, [told], material) == []
    assert check_cupl(config, [told, own, other], material) == [
        "cupl has clip's number where classes are without sentences: the test (1 of 2), "
        "other (2 of 3)."
    ]
    config.baselines = ("dclip",)
    assert check_cupl(config, [own], material) == []


def test_waffle_takes_the_same_phrases_for_all_classes(config, tmp_path):
    words = tmp_path / "words.json"
    words.write_text(json.dumps(["foot", "loud", ""]))
    config.words = str(words)
    test, material = sets("dog", "cat"), read_material(config, TOLD)
    first, second = baseline_texts(config, test, material)["waffle_clip"]
    assert [x.replace("dog", "cat") for x in first] == second
    assert len(set(first)) > 8 and any("foot" in x or "loud" in x for x in first)
    assert baseline_texts(config, test, material)["waffle_clip"][0] == first


def test_baselines_say_what_they_cut(config, clip, capsys):
    config.baselines = ()
    fits, long = (" ".join(["red"] * (clip.tokenizer.room - less)) for less in (8, 1))
    text_baselines(config, clip, [sets(fits, long)], read_material(config, TOLD))
    said = [line for line in capsys.readouterr().out.splitlines() if line.endswith(": cut.")]
    assert len(said) == 1
    assert said[0].startswith("1 baseline text longer than the text tower reads ('red red ")


def test_sentences_are_matched_once_for_a_test_set(config, monkeypatch):
    asked, material, told = [], read_material(config, TOLD), sets("red star", "fish")

    def counting(names, texts, source):
        asked.append(source)
        return match_texts(names, texts, source)

    monkeypatch.setattr("protext_jax.baseline_texts.match_texts", counting)
    check_cupl(config, [told], material)
    baseline_texts(config, told, material)
    assert asked.count("the corpus") == 1
