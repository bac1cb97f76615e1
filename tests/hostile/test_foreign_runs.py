"""Runs of strangers: what their `config.json` says of types, sizes and places."""

import json

import numpy as np
import pytest
from ml_collections import ConfigDict

from common.config import PLACES, flatten, read_config
from common.errors import UserError
from common.training.unfinished import read_unfinished
from configs import aape, aape_captioning, aape_retrieval, aape_vqa, mcti, protext

CONFIGS = {x.__name__: x.defaults for x in (aape, aape_captioning, aape_retrieval, aape_vqa)}
CONFIGS |= {x.__name__: x.defaults for x in (mcti, protext)}

OURS = {
    **{"method": "a:A", "data": "", "model": "", "seed": 0, "rate": 0.1, "flag": False},
    **{"names": (), "shape": (1, 2), "cache": "~/features", "compile_cache": "~/xla", "wandb": ""},
    "generate": {"prompt": "a {}", "steps": 25},
}


def write(folder, **changes):
    (folder / "config.json").write_text(json.dumps(OURS | changes))
    return folder


@pytest.mark.parametrize("name", CONFIGS)
def test_no_method_writes_where_a_strangers_run_says(name, tmp_path, capsys):
    ours = CONFIGS[name]()
    theirs = ours.to_dict() | {field: str(tmp_path / field) for field in PLACES}
    (tmp_path / "config.json").write_text(json.dumps(theirs))
    found = read_config(tmp_path, *(defaults() for defaults in CONFIGS.values()), cache="")
    assert flatten(found) == flatten(ours)
    assert f"where features are kept: in {ours.cache}; see --cache" in capsys.readouterr().out
    assert [x.name for x in tmp_path.iterdir()] == ["config.json"]


def test_a_place_that_the_user_gives_is_taken(tmp_path):
    found = read_config(write(tmp_path, cache="/theirs"), ConfigDict(OURS), cache="/mine")
    assert found.cache == "/mine"


TAKEN = {
    "a whole float": ({"seed": 3.0}, "seed", 3),
    "a whole number for a float": ({"rate": 1}, "rate", 1.0),
    "the largest seed": ({"seed": 2**64 - 1}, "seed", 2**64 - 1),
    "a list of texts": ({"names": ["a", "b"]}, "names", ("a", "b")),
    "a list of another length": ({"shape": [1, 2, 3]}, "shape", (1, 2, 3)),
}


@pytest.mark.parametrize(("changes", "name", "value"), TAKEN.values(), ids=TAKEN)
def test_values_whose_meaning_is_plain_are_taken(changes, name, value, tmp_path):
    found = read_config(write(tmp_path, **changes), ConfigDict(OURS))[name]
    assert found == value and type(found) is type(value)


REFUSED = {
    "a text for a number": ({"seed": "0"}, "seed='0' is not a whole number"),
    "true for a number": ({"seed": True}, "seed=True is not a whole number"),
    "null for a number": ({"seed": None}, "seed=None is not a whole number"),
    "a list for a number": ({"seed": [0]}, "is not a whole number"),
    "half a number": ({"seed": 0.5}, "seed=0.5 is not a whole number"),
    "a large float": ({"seed": 1e300}, "is not a whole number"),
    "40 digits": ({"seed": 10**40}, "is not a whole number"),
    "a number for a text": ({"data": 5}, "data=5 is not a text"),
    "null for a text": ({"model": None}, "model=None is not a text"),
    "a list for a text": ({"model": ["x"]}, "is not a text"),
    "a group for a text": ({"model": {"x": 1}}, "is not a text"),
    "a text for a rate": ({"rate": "fast"}, "rate='fast' is not a number"),
    "true for a rate": ({"rate": True}, "rate=True is not a number"),
    "a text for a switch": ({"flag": "yes"}, "flag='yes' is not true or false"),
    "a number for a switch": ({"flag": 1}, "flag=1 is not true or false"),
    "a text for a list": ({"names": "abc"}, "names='abc' is not a list"),
    "numbers for texts": ({"names": [1]}, "names=1 is not a text"),
    "texts for numbers": ({"shape": ["1"]}, "shape='1' is not a whole number"),
    "lists in a list": ({"shape": [[1]]}, "is not a whole number"),
    "a list of 20,000": ({"names": ["a"] * 20_000}, "is not a list of up to 10000 values"),
    "20,000 letters": ({"data": "a" * 20_000}, "has 20000 letters, more than 10000"),
    "an escape sequence": ({"data": "a\x1b[2J"}, "holds a control character"),
    "a zero byte": ({"data": "a\0"}, "holds a control character"),
    "half a character": ({"data": "a\ud800"}, "surrogates not allowed"),
    "a text for a group": ({"generate": "no"}, "generate is not a group of fields"),
    "a list for a group": ({"generate": []}, "generate is not a group of fields"),
    "in a group": ({"generate": {"steps": "many"}}, "generate.steps='many' is not a whole number"),
    "another method": ({"method": "os:system"}, "method='os:system', but this command is for a:A"),
    "a list of methods": ({"method": ["a:A"]}, "but this command is for a:A"),
    "no method": ({"method": {}}, "but this command is for a:A"),
}


@pytest.mark.parametrize(("changes", "message"), REFUSED.values(), ids=REFUSED)
def test_values_of_another_type_are_refused_by_name(changes, message, tmp_path):
    with pytest.raises(UserError) as caught:
        read_config(write(tmp_path, **changes), ConfigDict(OURS))
    assert message in str(caught.value)
    assert "\x1b" not in str(caught.value) and len(str(caught.value)) < 600


def test_fields_that_nobody_knows_are_named(tmp_path, capsys):
    changes = {f"a{number}": 1 for number in range(9)} | {"\x1b[2J": 1}
    read_config(write(tmp_path, **changes), ConfigDict(OURS))
    told = capsys.readouterr().out
    assert "'a0', 'a1', 'a2', 'a3', 'a4' and 5 more." in told and "\x1b" not in told


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", '{"seed": NaN}', '{"seed": 1, "seed": 2}', "{" * 50_000, '{"a": 1e999}'],
)
def test_what_is_not_a_config(text, tmp_path):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=r"config\.json"):
        read_config(tmp_path, ConfigDict(OURS))


@pytest.mark.parametrize(
    "note",
    ["{", "[]", "{}", '{"step": 5}', '{"checksum": 1, "fingerprints": {}}', "null"],
)
def test_a_checkpoint_of_a_stranger_is_read_or_refused(note, tmp_path):
    write(tmp_path)
    position = tmp_path / "checkpoints" / "00000005" / "position"
    position.mkdir(parents=True)
    (position / "metadata").write_text(note)
    np.save(tmp_path / "checkpoints" / "00000005" / "x.npy", np.array([1]))
    with pytest.raises(UserError, match=r"none of the 1 checkpoints in .* can be read"):
        read_unfinished(tmp_path)
