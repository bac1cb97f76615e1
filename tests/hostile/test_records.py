"""Fields of JSON objects: numbers, lists and texts of other types or beyond all bounds."""

import math

import pytest

from common.errors import UserError
from common.records import Record


def record(**content):
    return Record(content, "'x.json'", "write it again")


PLAIN = {
    "a whole number": ("integer", 3, 3),
    "a whole float": ("integer", 3.0, 3),
    "a numeric text": ("integer", "3", 3),
    "a number": ("number", 0.5, 0.5),
    "a whole number as a number": ("number", 2, 2.0),
    "a text as a number": ("number", "5e-1", 0.5),
    "true": ("boolean", True, True),
    "one for true": ("boolean", 1, True),
    "zero for false": ("boolean", 0.0, False),
    "the word for false": ("boolean", "False", False),
    "a text": ("text", "ü", "ü"),
    "an empty text": ("text", "", ""),
    "numbers": ("numbers", [1, "2", 3.5], (1.0, 2.0, 3.5)),
    "whole numbers": ("integers", [1, 2.0], (1, 2)),
    "texts": ("strings", ["a", ""], ("a", "")),
    "an empty list": ("numbers", [], ()),
}


@pytest.mark.parametrize(("read", "value", "expected"), PLAIN.values(), ids=PLAIN)
def test_what_is_plain_is_taken(read, value, expected):
    found = getattr(record(a=value), read)("a")
    assert found == expected and type(found) is type(expected)


REFUSED = {
    "a fraction": ("integer", 3.5),
    "a truth for a whole number": ("integer", True),
    "a text that is not whole": ("integer", "3.5"),
    "a word": ("integer", "three"),
    "a list for a whole number": ("integer", [3]),
    "an object for a whole number": ("integer", {"a": 3}),
    "below zero": ("integer", -1),
    "too large": ("integer", 10**9 * 10**9),
    "of 4,000 digits": ("integer", 10**4000),
    "a float beyond whole numbers": ("integer", 1e300),
    "infinity for a whole number": ("integer", math.inf),
    "not a number for a whole number": ("integer", math.nan),
    "not a number": ("number", math.nan),
    "the text of not a number": ("number", "nan"),
    "infinity": ("number", math.inf),
    "the text of infinity": ("number", "-inf"),
    "a number of 4,000 digits": ("number", 10**4000),
    "a truth for a number": ("number", False),
    "a list for a number": ("number", [0.5]),
    "two for true": ("boolean", 2),
    "a word for true": ("boolean", "yes please"),
    "a list for true": ("boolean", []),
    "a number for a text": ("text", 3),
    "a list for a text": ("text", ["a"]),
    "a text beyond all": ("text", "x" * 100_001),
    "a number for numbers": ("numbers", 3),
    "a text for numbers": ("numbers", "123"),
    "a word among numbers": ("numbers", [1, "two"]),
    "not a number among numbers": ("numbers", [1.0, math.nan]),
    "null among numbers": ("numbers", [1, None]),
    "lists among numbers": ("numbers", [[1]]),
    "a negative among whole numbers": ("integers", [1, -1]),
    "a text for texts": ("strings", "abc"),
    "a number among texts": ("strings", ["a", 1]),
    "a list for an object": ("record", [1]),
    "a text for an object": ("record", "{}"),
}


@pytest.mark.parametrize(("read", "value"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_is_named(read, value):
    with pytest.raises(
        UserError, match=r"^a=.* in 'x\.json' is not .*: write it again\.$"
    ) as caught:
        getattr(record(a=value), read)("a")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("read", ["integer", "number", "boolean", "text", "numbers", "integers"])
def test_absent_and_null(read):
    for content in ({}, {"a": None}):
        assert getattr(record(**content), read)("a", default=None) is None
        with pytest.raises(UserError, match=r"^'x\.json' lacks a, .*: write it again\.$"):
            getattr(record(**content), read)("a")


def test_bounds_choices_and_lengths():
    it = record(n=7, x=0.5, word="b", mean=[1, 2, 3], words=["a", "c"])
    assert it.integer("n", high=7) == 7 and it.number("x", low=0.5) == 0.5
    assert it.text("word", choices=("a", "b")) == "b"
    assert it.numbers("mean", length=3) == (1, 2, 3)
    with pytest.raises(UserError, match=r"n=7 .* is not a whole number from 8 to 9"):
        it.integer("n", low=8, high=9)
    with pytest.raises(UserError, match=r"x=0.5 .* is not a number from 1 on"):
        it.number("x", low=1)
    with pytest.raises(UserError, match=r"x=0.5 .* is not a number up to 0.25"):
        it.number("x", high=0.25)
    with pytest.raises(UserError, match=r"word='b' .* is not one of c, d"):
        it.text("word", choices=("c", "d"))
    with pytest.raises(UserError, match=r"mean=\[1, 2, 3\] .* is not a list of 2 numbers"):
        it.numbers("mean", length=2)
    with pytest.raises(UserError, match=r"mean=.* is not a list of texts of up to 100000 letters"):
        it.strings("mean")


def test_objects_in_objects_are_named_by_their_place():
    it = record(tower={"width": "wide"}, rows=[{"id": 1}, {"id": "two"}, 3])
    with pytest.raises(UserError, match=r"^tower\.width='wide' in"):
        it.record("tower").integer("width")
    assert it.record("absent", default={}).integer("width", default=4) == 4
    rows = it.records("rows")
    assert next(rows).integer("id") == 1
    assert not list(it.records("absent", default=()))
    with pytest.raises(UserError, match=r"^rows\[1\]\.id='two' in"):
        next(rows).integer("id")
    with pytest.raises(UserError, match=r"^rows\[2\]=3 in 'x\.json' is not an object"):
        next(rows)
    with pytest.raises(UserError, match=r"^a=2 in 'x\.json' is not of this file: write it again"):
        record(a=2).refuse("a", "of this file")
