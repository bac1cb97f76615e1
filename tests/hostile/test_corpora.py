"""Files of sentences about classes: of another shape, empty, too long, or about other classes."""

import json

import numpy as np
import pytest

from aape_jax.classification.corpus import read_corpus as read_prompts
from common.data.phrases import read_phrases
from common.data.templates import fill
from common.errors import UserError
from protext_jax.baseline_texts import DESCRIPTORS, baseline_texts, read_material
from protext_jax.baselines import check_baselines
from protext_jax.corpus import match, read_corpus
from tests.aape.problem import settings as aape_settings
from tests.protext.test_baselines import sets
from tests.protext.tiny import settings

SHAPES = {
    "an empty object": ("{}", "is empty"),
    "a list": ('["a cat"]', "holds no JSON object"),
    "a text for a list": ('{"cat": "a cat"}', "at 'cat' but a text"),
    "a number for a list": ('{"cat": 3}', "at 'cat' but the number 3"),
    "null for a list": ('{"cat": null}', "at 'cat' but null"),
    "true for a list": ('{"cat": true}', "at 'cat' but true or false"),
    "numbers in the list": ('{"cat": ["x", 1]}', "the number 1 stands among them"),
    "null in the list": ('{"cat": [null]}', "null stands among them"),
    "lists in the list": ('{"cat": [["x"]]}', "a list stands among them"),
    "groups of attributes": ('{"cat": {"colour": ["red"], "size": ["big"]}}', "further groups"),
    "an empty group": ('{"cat": {}}', "further groups"),
    "a class without a name": ('{" ": ["x"]}', "a class without a name"),
    "comma-separated values": ("class,sentence\ncat,a cat\n", "cannot be read"),
    "nothing": ("", "cannot be read"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_json_of_another_shape(tmp_path, name):
    text, sentence = SHAPES[name]
    file = tmp_path / "corpus.json"
    file.write_text(text)
    with pytest.raises(UserError, match=sentence):
        read_phrases(file)
    with pytest.raises(UserError, match=sentence):
        read_corpus(file, "{phrase}")
    config = aape_settings(prompts__source=f"json:{file}")
    with pytest.raises(UserError, match=sentence):
        read_prompts(config, "folder:x", ["cat"])


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".txt", ".jsonl", ".parquet", ".xlsx", ".CSV"])
def test_tables_are_named(tmp_path, suffix):
    file = tmp_path / f"corpus{suffix}"
    file.write_text("class,sentence\n")
    with pytest.raises(UserError, match="is not a JSON file: write its rows as a JSON object"):
        read_phrases(file)


def matched(corpus, names, longest=9):
    lengths = {x: len(x) for sentences in corpus.values() for x in sentences}
    return match(corpus, names, lengths, longest)


def test_every_sentence_too_long():
    with pytest.raises(UserError, match="the shortest has 12 tokens and the text tower 9"):
        matched({"cat": ("c" * 12, "d" * 20)}, ["cat"])


def test_empty_lists_alone():
    with pytest.raises(UserError, match="no sentence about any of its 2 classes, only empty"):
        matched({"cat": (), "dog": ()}, ["cat", "dog"])


def test_classes_twice_in_a_corpus():
    names = ("yin_yang", "Yin Yang")
    with pytest.raises(UserError, match="'yin yang', 'yin_yang' and 'Yin Yang': merge them"):
        matched(dict.fromkeys(names, ("a",)) | {"Yin Yang": ("b",)}, names)
    assert matched(dict.fromkeys(names, ("a",)), ["yin yang"]).names == ("yin_yang",)


def test_other_words_are_trained_as_the_data_set_says_them():
    found = matched({"Acura TL 2012": ("a",), "cat_": ("b",)}, ["2012 Acura TL", "Cat"])
    assert found.names == ("2012 Acura TL", "cat_")
    assert any("the place of the year" in line for line in found.report())


@pytest.mark.parametrize(
    ("pattern", "words", "filled"),
    [
        ("{name}, {phrase}", {"name": "{phrase}", "phrase": "{name}"}, "{phrase}, {name}"),
        ("{name} {name}", {"name": "x", "phrase": "y"}, "x x"),
        ("{0} {} {name!r}", {"name": "x", "phrase": "y"}, "{0} {} {name!r}"),
        ("{phrase}", {"name": "x", "phrase": r"\1 \g<0> {"}, r"\1 \g<0> {"),
    ],
)
def test_braces_are_filled_once(pattern, words, filled):
    assert fill(pattern, **words) == filled


def described(tmp_path, content, **changes):
    file = tmp_path / "descriptors.json"
    file.write_text(json.dumps(content))
    return settings(descriptors=str(file), baselines=("dclip",), **changes)


def test_descriptors_that_name_no_class_are_refused(tmp_path):
    config = described(tmp_path, {"cat": ["fur"]})
    with pytest.raises(UserError, match="names none of the classes: it has 'cat'"):
        check_baselines(config, [sets("2012 Acura TL"), sets("dog")], read_material(config, {}))


def test_a_set_without_descriptors_has_no_row_for_them(tmp_path):
    config = described(tmp_path, {"Acura TL 2012": ["doors"], "ox": []})
    cars, oxen, birds = sets("2012 Acura TL"), sets("ox", "2012 Acura TL"), sets("ani")
    material = read_material(config, {})
    lines = " ".join(check_baselines(config, [cars, oxen, birds], material))
    assert "the place of the year" in lines and "no dclip" in lines
    assert "the lists of 'ox' are empty" in lines and "plain template" in lines
    assert "dclip" not in baseline_texts(config, birds, material)
    assert baseline_texts(config, cars, material)["dclip"] == [
        [fill(DESCRIPTORS, name="Acura TL 2012", phrase="doors")]
    ]
    assert baseline_texts(config, oxen, material)["dclip"][0] == ["ox texture."]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [([], "no JSON list of strings"), (["", " "], "empty words alone"), ([1], "no JSON list")],
)
def test_words_that_are_none(tmp_path, words, sentence):
    file = tmp_path / "words.json"
    file.write_text(json.dumps(words))
    with pytest.raises(UserError, match=sentence):
        read_material(settings(words=str(file)), {})


def bank_texts(tmp_path, content, names, aliases=None):
    file = tmp_path / "prompts.json"
    file.write_text(json.dumps(content))
    changes = {"prompts__source": f"json:{file}"}
    if aliases is not None:
        (tmp_path / "aliases.json").write_text(json.dumps(aliases))
        changes["prompts__aliases"] = str(tmp_path / "aliases.json")
    return read_prompts(aape_settings(**changes), "folder:x", names)


def test_the_bank_finds_other_spellings(tmp_path):
    content = {"annual crop": ["a"], "Acura TL 2012": ["b", " "]}
    assert bank_texts(tmp_path, content, ["2012 Acura TL", "AnnualCrop"]) == (("b",), ("a",))


@pytest.mark.parametrize(
    ("aliases", "sentence"),
    [
        ({"horse": "dog"}, "names none of the classes: it has 'horse'"),
        ({"cat": "hound"}, "names 'hound', which the corpus does not have: it has 'cat', 'dog'"),
        ({"cat": 3}, "has no text at 'cat'"),
        ({"Cat": "dog", "CAT": "cat"}, "two keys for the class 'cat'"),
    ],
)
def test_aliases_that_fit_nothing(tmp_path, aliases, sentence):
    with pytest.raises(UserError, match=sentence):
        bank_texts(tmp_path, {"cat": ["a"], "dog": ["b"]}, ["cat"], aliases)


def test_aliases_win_and_idle_ones_are_said(tmp_path, capsys):
    content = {"cat": ["a"], "dog": ["b"]}
    assert bank_texts(tmp_path, content, ["cat"], {"Cat": "DOG", "cow": "cat"}) == (("b",),)
    assert "'cow' fit no class" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"cat": ["a"], "dog": []}, "'dog' has no sentence but an empty list"),
        ({"cat": ["a"], "dog": [" "]}, "'dog' has no sentence but an empty list"),
        ({"cat": ["a"]}, "'dog' has no sentence in"),
        ({"cow": ["a"]}, "names none of the classes"),
        ({"Cat": ["a"], "CAT": ["b"], "dog": ["c"]}, "'Cat' and 'CAT'"),
    ],
)
def test_banks_without_prompts(tmp_path, content, sentence):
    with pytest.raises(UserError, match=sentence):
        bank_texts(tmp_path, content, ["cat", "dog"])


def test_features_under_other_spellings(tmp_path):
    from aape_jax.classification.bank import read_bank

    file = tmp_path / "texts.npz"
    names = np.array(["Acura TL 2012", "annual crop"])
    np.savez(file, classnames=names, class_features=np.eye(2, dtype=np.float32))
    bank = read_bank(file, ["AnnualCrop", "2012 Acura TL"])
    np.testing.assert_array_equal(bank.classes, [[0, 1], [1, 0]])
    with pytest.raises(UserError, match="names none of the classes"):
        read_bank(file, ["dog"])
    with pytest.raises(UserError, match="no feature of the class 'dog'"):
        read_bank(file, ["AnnualCrop", "dog"])
