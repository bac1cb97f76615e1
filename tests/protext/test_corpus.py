"""Reading sentences and finding their classes."""

import gzip
import json

import pytest

from common.errors import UserError
from protext_jax.corpus import match, normalised, read_corpus

SENTENCES = "{phrase}"


def write(path, content):
    path.write_text(json.dumps(content))
    return path


def test_json_and_gzip(tmp_path):
    content = {"yin_yang": ["A sign.", " "], "cat": []}
    plain = write(tmp_path / "a.json", content)
    assert read_corpus(plain, SENTENCES) == {"yin_yang": ("A sign.",), "cat": ()}
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(plain.read_bytes()))
    assert read_corpus(tmp_path / "b.json.gz", SENTENCES) == read_corpus(plain, SENTENCES)
    # Where only the gzipped file is there, its plain name will do.
    assert read_corpus(tmp_path / "b.json", SENTENCES) == read_corpus(plain, SENTENCES)


def test_descriptors_become_sentences(tmp_path):
    file = write(tmp_path / "a.json", {"yin_yang": ["two {halves}"]})
    corpus = read_corpus(file, "a {name}, which has {phrase}.")
    assert corpus == {"yin_yang": ("a yin yang, which has two {halves}.",)}
    with pytest.raises(UserError, match=r"needs \{phrase\}"):
        read_corpus(file, "a {name}")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({}, "is empty"),
        ([1], "no JSON object"),
        ({"cat": "a cat"}, "no list of sentences at 'cat'"),
        ({"cat": [1]}, "no list of sentences at 'cat'"),
        ({"cat": {"a": []}}, "no list of sentences at 'cat'"),
    ],
)
def test_bad_files(tmp_path, content, sentence):
    with pytest.raises(UserError, match=sentence):
        read_corpus(write(tmp_path / "a.json", content), SENTENCES)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"none\.json. is missing"):
        read_corpus(tmp_path / "none.json", SENTENCES)


def lengths(corpus):
    return {x: len(x) for sentences in corpus.values() for x in sentences}


def test_matching_is_by_name_and_reported():
    corpus = {
        "Yin_Yang": ("aa", "bb", "aa"),
        "dog": ("c" * 20, "d"),
        "fox": ("f" * 20,),
        "sky": ("e",),
        "cow": (),
    }
    found = match(corpus, ["cow", "dog", "yin yang", "fox", "ant"], lengths(corpus), longest=9)
    assert found.sentences == {"Yin_Yang": ("aa", "bb", "aa"), "dog": ("d",)}
    assert found.unmatched == ("sky",)
    assert found.undescribed == ("cow", "fox", "ant")
    assert found.duplicates == {"Yin_Yang": 1}
    assert found.overlong == {"dog": 1, "fox": 1}
    report = " ".join(found.report())
    too_long = "2 sentences (dog 1, fox 1) too long"
    assert all(x in report for x in ("4 sentences about 2 classes", "sky", "ant", too_long))


def test_counts_of_one_agree_with_their_nouns():
    corpus = {"dog": ("c" * 20, "d"), "sky": ("e",)}
    assert match(corpus, ["dog", "ant"], lengths(corpus), longest=9).report() == [
        "1 sentence about 1 class.",
        "1 key (sky) in the corpus and not among the trained classes: ignored.",
        "1 class (ant) without a sentence: not trained.",
        "1 sentence (dog 1) too long for the text tower: left out.",
    ]


def test_no_match_and_two_keys_for_one_class():
    with pytest.raises(UserError, match=r"it has 'cat', the classes are 'dog'"):
        match({"cat": ("a",)}, ["dog"], {"a": 1}, 9)
    with pytest.raises(UserError, match="'Yin Yang': merge or rename them"):
        match({"yin_yang": ("a",), "Yin Yang": ("b",)}, ["yin yang"], {"a": 1, "b": 1}, 9)


def test_a_name_that_occurs_twice_is_trained_once():
    found = match({"missile": ("a",)}, ["missile", "Missile"], {"a": 1}, 9)
    assert (list(found.sentences), found.undescribed) == (["missile"], ())


@pytest.mark.parametrize(
    ("file", "split", "classes", "pairs"),
    [
        ("cal_prompts_full", "Caltech101", 100, 3000),
        ("texture_prompts_full", "DescribableTextures", 47, 2820),
        ("EuroSAT", "EuroSAT", 10, 250),
        ("flower_prompts_full", "OxfordFlowers", 102, 2040),
        ("pets_prompts_full", "OxfordPets", 37, 740),
        ("cars_prompts_full", "StanfordCars", 196, 17640),
        ("ucf_prompts_full", "UCF101", 101, 5050),
    ],
)
def test_the_papers_files(shared_data, file, split, classes, pairs):
    corpus = read_corpus(shared_data / f"llm_prompts/{file}.json.gz", SENTENCES)
    rows = json.loads(
        gzip.decompress((shared_data / f"coop_splits/split_zhou_{split}.json.gz").read_bytes())
    )["train"]
    names = {label: name for _, label, name in rows}
    found = match(corpus, [names[k] for k in sorted(names)], dict.fromkeys(lengths(corpus), 1), 77)
    assert len(found.sentences) == classes and not found.undescribed
    assert sum(map(len, found.sentences.values())) == pairs


def test_imagenets_names(shared_data):
    corpus = read_corpus(shared_data / "llm_prompts/mapper_data_gpt.json.gz", SENTENCES)
    names = json.loads((shared_data / "clip_vocab/imagenet_classnames.json").read_text())
    found = match(corpus, names, dict.fromkeys(lengths(corpus), 1), 77)
    assert (len(found.sentences), found.undescribed, len(names)) == (998, (), 1000)
    assert len({normalised(name) for name in names}) == 998
