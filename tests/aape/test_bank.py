"""Prompts from files: which sentences, of which class, in which row."""

import gzip
import json

import numpy as np
import pytest

from aape_jax.classification.bank import read_bank
from aape_jax.classification.corpus import choose, read_corpus
from aape_jax.core.texts import by_class
from common.errors import UserError
from common.pocket.datasets import pocket_descriptions
from tests.aape.feature_files import CLASSES, NAMES, PROMPTS, texts
from tests.aape.problem import settings, vectors


def corpus(tmp_path, content, classnames, **changes):
    file = tmp_path / "prompts.json.gz"
    file.write_bytes(gzip.compress(json.dumps(content).encode()))
    config = settings(prompts__source=f"json:{file}", **changes)
    return read_corpus(config, "folder:x", classnames)


def test_classes_are_found_by_their_words_and_by_alias(tmp_path):
    aliases = tmp_path / "aliases.json"
    aliases.write_text(json.dumps({"airplanes": "airplane"}))
    content = {"yin yang": ["a"], "airplane": ["b", "c"], "Motorbike": ["d"]}
    found = corpus(
        tmp_path,
        content,
        ("motorbike", "airplanes", "yin_yang"),
        prompts__aliases=str(aliases),
    )
    assert found == (("d",), ("b", "c"), ("a",))


@pytest.mark.parametrize("content", [{"cat": ["x"]}, {"cat": ["x"], "dog": []}])
def test_a_class_without_prompts_is_named(tmp_path, content):
    with pytest.raises(UserError, match="the class 'dog' has no sentence"):
        corpus(tmp_path, content, ("cat", "dog"))


def test_a_file_of_another_form(tmp_path):
    with pytest.raises(UserError, match="has no list of sentences at 'cat' but a text"):
        corpus(tmp_path, {"cat": "x"}, ("cat",))


def test_some_sentences_of_each_question():
    sentences = [f"{group}{number}" for group in "ab" for number in range(10)]
    found = choose(sentences, 3, (0, 1))
    assert [s[0] for s in found] == list("aaabbb")
    assert sorted(found) == list(found)
    assert choose(sentences, 10, (0, 1)) == tuple(sentences)
    assert choose(sentences, 3, (1, 1)) != found
    with pytest.raises(UserError, match="per_template=11 is out of range"):
        choose(sentences, 11, (0, 1))


def test_the_bundled_sentences():
    names = tuple(pocket_descriptions("rare"))
    found = read_corpus(settings(), "pocket:rare", names)
    assert found == tuple(pocket_descriptions("rare").values())
    with pytest.raises(UserError, match="describes the bundled sets only"):
        read_corpus(settings(), "folder:mine", names)


def test_real_files_of_sentences(shared_data):
    file = shared_data / "llm_prompts" / "pets_prompts_full.json.gz"
    known = json.loads(gzip.decompress(file.read_bytes()))
    config = settings(prompts__source=f"json:{file}", prompts__per_template=5)
    found = read_corpus(config, "coop:pets", tuple(known))
    assert {len(own) for own in found} == {10}


def test_ragged_classes_are_padded():
    labels = np.array([2, 0, 2, 1, 2])
    features = vectors(5, 4)
    prompts, mask = by_class(features, labels, 3)
    assert mask.sum(axis=1).tolist() == [1, 1, 3]
    np.testing.assert_array_equal(prompts[2], features[[0, 2, 4]])
    assert not prompts[~mask].any()


def test_a_bank_of_features_in_any_order(tmp_path):
    file = texts(tmp_path)
    order = (4, 0, 3)
    bank = read_bank(file, [NAMES[i] for i in order])
    assert bank.mask.sum(axis=1).tolist() == [PROMPTS[i] for i in order]
    whole = read_bank(file, NAMES)
    np.testing.assert_array_equal(bank.classes, whole.classes[list(order)])
    taken = whole.take(order)
    for row, own in enumerate(order):
        count = PROMPTS[own]
        np.testing.assert_array_equal(bank.prompts[row, :count], taken.prompts[row, :count])
    mean = whole.prompts[2, : PROMPTS[2]].mean(axis=0)
    np.testing.assert_allclose(whole.means[2], mean / np.linalg.norm(mean), rtol=1e-5)


def test_two_classes_of_one_name_are_told_apart_by_their_place(tmp_path):
    names = ("crane", *NAMES[1:-1], "crane")
    file = texts(tmp_path, classnames=np.array(names))
    bank = read_bank(file, names)
    np.testing.assert_array_equal(bank.mask.sum(axis=1), PROMPTS)
    assert np.abs(bank.classes[0] - bank.classes[-1]).max() > 0.01


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"classnames": np.array(["class_0"] + ["x"] * (CLASSES - 1))}, "no feature of the class"),
        ({"prompt_labels": np.zeros(sum(PROMPTS), int)}, "the class class_1 has no prompts"),
        ({"prompt_features": vectors(sum(PROMPTS), 8)}, "do not fit each other"),
        ({"class_features": vectors(2, 16)}, r"class_features of .* must be"),
    ],
)
def test_a_file_of_features_that_does_not_fit(tmp_path, changes, sentence):
    with pytest.raises(UserError, match=sentence):
        read_bank(texts(tmp_path, **changes), NAMES)
