"""Class names that two files spell differently, or that cannot be told apart."""

import gzip
import json

import pytest

from common.data.matching import match_names, require_matches
from common.errors import UserError
from common.names import readable
from common.text import some
from protext_jax.classnames import check_names, read_names

# Spellings that published files have of one class, and by what they are found.
PAIRS = {
    "the same": ("tench", "tench", "the same spelling"),
    "lower case": ("Tiger Shark", "tiger shark", "case and underscores"),
    "underscores": ("yin_yang", "yin yang", "case and underscores"),
    "several underscores": ("wild__cat_", "Wild cat", "case and underscores"),
    "full-width letters": ("\uff34\uff36", "TV", "case and underscores"),
    "a ligature": ("\ufb01sh", "fish", "case and underscores"),
    "a sharp s": ("Stra\u00dfe", "STRASSE", "case and underscores"),
    "control characters": ("cat\x1b\u202e", "cat", "case and underscores"),
    "a hyphen": ("Groove-billed Ani", "Groove billed Ani", "punctuation"),
    "an apostrophe": ("Brewer's Blackbird", "Brewers Blackbird", "punctuation"),
    "a curly apostrophe": ("Brewer\u2019s Blackbird", "Brewer's Blackbird", "punctuation"),
    "an accent": ("Saint-\u00c9milion", "saint emilion", "punctuation"),
    "an accent in two characters": ("cafe\u0301", "cafe", "punctuation"),
    "an ampersand": ("pots & pans", "pots and pans", "punctuation"),
    "brackets": ("crane (bird)", "crane bird", "punctuation"),
    "a path": ("arch/indoor", "arch indoor", "punctuation"),
    "CamelCase": ("AnnualCrop", "annual crop", "CamelCase"),
    "an acronym in CamelCase": ("TVScreen", "TV screen", "CamelCase"),
    "an article": ("the Colosseum", "Colosseum", "articles"),
    "an article within": ("lady of a lake", "Lady of the Lake", "articles"),
    "the year behind": ("2012 Acura TL", "Acura TL 2012", "the place of the year"),
    "a plural": ("red beech", "red beeches", "plurals"),
    "a plural in ies": ("sweet cherry", "sweet cherries", "plurals"),
    "a word twice": ("lotus", "lotus lotus", "repeated words"),
    "one word": ("cup cakes", "cupcakes", "spaces"),
    "alternatives in another order": ("Sea or Lake", "lake or sea", "the order around 'or'"),
    "one alternative": ("Industrial Buildings", "industrial buildings or works", "alternatives"),
    "a synonym": ("Herbaceous Vegetation Land", "brushland or shrubland", "another name"),
    "a folder's synonym": ("HerbaceousVegetation", "Herbaceous Vegetation Land", "another name"),
}

# What looks alike and is not the same.
DIFFERENT = [
    ("glass", "grass"),
    ("bass", "ba"),
    ("lens", "lensing"),
    ("2012 Acura TL", "Acura TL 2013"),
    ("Boeing 737", "737-200"),
    ("F-16A", "F-16B"),
    ("car", "carpet"),
    ("virus", "viru"),
    ("", "tench"),
    ("...", "!!!"),
]


@pytest.mark.parametrize("name", PAIRS)
def test_other_spellings(name):
    one, other, rule = PAIRS[name]
    for ours, theirs in ((one, other), (other, one)):
        found = match_names([ours], [theirs, "something else"], "a file")
        assert found.keys == {ours: theirs} and found.rules[ours].startswith(rule)
        assert found.unused == ("something else",) and not found.unmatched


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_names_stay_different(one, other):
    found = match_names([one], [other], "a file")
    assert not found.keys and found.unmatched == (one,) and found.unused == (other,)


def test_an_exact_match_wins():
    keys = ["Dog", "dog", "dogs", "the dog"]
    found = match_names(["dog", "dogs"], keys, "a file")
    assert found.keys == {"dog": "dog", "dogs": "dogs"} and found.unused == ("Dog", "the dog")
    # What it has found is not another class's, too.
    assert match_names(["dog", "dogs"], ["dog"], "a file").unmatched == ("dogs",)


def test_a_name_that_occurs_twice_has_one_key():
    found = match_names(["missile", "Missile", "missile"], ["missile"], "a file")
    assert found.keys == {"missile": "missile", "Missile": "missile"}


def test_two_keys_for_one_class_are_named():
    with pytest.raises(UserError, match="two keys for the class 'dog', 'Dog' and 'DOG'"):
        match_names(["dog"], ["Dog", "DOG"], "a file")
    either = match_names(["dog"], ["Dog", "DOG"], "a file", lambda one, other: True)
    assert either.keys == {"dog": "Dog"}


def test_two_classes_for_one_key_are_named():
    with pytest.raises(UserError, match="'red-beech' and 'the red beech'"):
        match_names(["red-beech", "the red beech"], ["Red Beeches"], "a file")


def test_a_report_names_five_and_every_rule():
    names = ["cat", "AnnualCrop", *(f"class {n}" for n in range(7))]
    lines = match_names(names, ["cat", "annual crop"], "corpus.json").report("corpus.json")
    assert lines[0].startswith("corpus.json: 2 of 9 classes are named, not 'class 0'")
    assert "'class 4' and 2 more" in lines[0] and "class 5" not in lines[0]
    assert "CamelCase, e.g. 'AnnualCrop' is 'annual crop' there" in lines[1]
    assert match_names(["Cat"], ["cat"], "x").report("x") == []


def test_no_match_is_refused():
    found = match_names(["dog"], ["cat"], "a file")
    with pytest.raises(UserError, match="a file names none of the classes: it has 'cat'"):
        require_matches(found, ["dog"], ["cat"], "a file")
    assert some([]) == "nothing"


@pytest.mark.parametrize("name", ["a\tb", "a\nb", "a\x00b", "a\x1bb", "a\u202eb", "\ufeffa b"])
def test_characters_that_nobody_sees_are_no_part_of_a_prompt(name):
    assert readable(name) == "a b"


def split(shared_data, name):
    file = shared_data / f"coop_splits/split_zhou_{name}.json.gz"
    names = {
        row[1]: row[2] for part in json.loads(gzip.decompress(file.read_bytes())).values()
        for row in part
    }  # fmt: skip
    return [names[label] for label in sorted(names)]


def keys(shared_data, file):
    path = shared_data / file
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return json.loads(raw)


# Files of two papers beside CoOp's names: how many classes have a key.
TABLE = [
    ("Caltech101", "llm_prompts/cal_prompts_full.json.gz", 100),
    ("DescribableTextures", "llm_prompts/texture_prompts_full.json.gz", 47),
    ("DescribableTextures", "llm_descriptors/descriptors_dtd.json", 47),
    ("EuroSAT", "llm_prompts/EuroSAT.json.gz", 10),
    ("EuroSAT", "llm_descriptors/descriptors_eurosat.json", 10),
    ("OxfordFlowers", "llm_prompts/flower_prompts_full.json.gz", 102),
    ("OxfordFlowers", "llm_descriptors/descriptors_flowers102.json", 102),
    ("OxfordPets", "llm_prompts/pets_prompts_full.json.gz", 37),
    ("OxfordPets", "llm_descriptors/descriptors_pets.json", 37),
    ("StanfordCars", "llm_prompts/cars_prompts_full.json.gz", 196),
    ("StanfordCars", "llm_descriptors/descriptors_cars.json", 196),
    ("UCF101", "llm_prompts/ucf_prompts_full.json.gz", 101),
]


@pytest.mark.parametrize(("name", "file", "count"), TABLE)
def test_published_files(shared_data, name, file, count):
    found = match_names(split(shared_data, name), keys(shared_data, file), file)
    assert len(found.keys) == count and not found.unmatched
    assert len(set(found.keys.values())) == count


@pytest.mark.parametrize(
    ("file", "unused"),
    [
        ("llm_prompts/mapper_data_gpt.json.gz", ()),
        ("llm_descriptors/descriptors_imagenet.json", ("projectile", "sunglass")),
    ],
)
def test_imagenets_files(shared_data, file, unused):
    names = keys(shared_data, "clip_vocab/imagenet_classnames.json")
    found = match_names(names, keys(shared_data, file), file)
    assert (len(found.keys), found.unmatched, found.unused) == (998, (), unused)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"n01": 1}, "has no name for 'n01'"),
        ({"n01": None}, "has no name for 'n01'"),
        ({"n01": " _ "}, "has an empty name for 'n01'"),
    ],
)
def test_names_files_of_another_form(tmp_path, content, sentence):
    file = tmp_path / "names.json"
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match=sentence):
        read_names(str(file))


def test_a_names_file_that_fits_nothing_is_refused(tmp_path):
    file = tmp_path / "names.json"
    file.write_text(json.dumps({"n01": "tench", "n02": "goldfish"}))
    with pytest.raises(UserError, match=r"fits no class: it renames 'n01', 'n02', the classes"):
        check_names(str(file), ["cat", "dog"])
    (line,) = check_names(str(file), ["tench", "dog"])
    assert "1 of 2 keys fit a class, not 'n02'" in line
    assert check_names(str(file), ["tench", "goldfish"]) == [] == check_names("", ["cat"])
