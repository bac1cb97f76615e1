"""How sentences show what others chose: values, paths, and lists of names."""

from pathlib import Path

import numpy as np
import pytest

from common.text import counted, quoted, shortened, shown, some

NAMES = [f"n{number}" for number in range(7)]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "'n0', 'n1', 'n2', 'n3', 'n4' and 2 more"),
        ({"limit": 6, "show": str}, "n0, n1, n2, n3, n4, n5 and 1 more"),
        ({"limit": 7, "show": str}, "n0, n1, n2, n3, n4, n5, n6"),
    ],
)
def test_the_first_names_and_how_many_follow(options, text):
    assert some(iter(NAMES), **options) == text


def test_no_name_at_all():
    assert (some([]), some([], none="none")) == ("nothing", "none")


def test_a_value_of_several_lines_is_shown_on_one():
    assert quoted(np.eye(2)) == "array([[1., 0.], [0., 1.]])"


def test_a_count_agrees_with_its_noun():
    assert [counted(number, "photo") for number in range(3)] == ["0 photos", "1 photo", "2 photos"]
    assert [counted(number, "class") for number in (1, 2)] == ["1 class", "2 classes"]
    assert [counted(n, "class has", "classes have") for n in (1, 2)] == [
        "1 class has",
        "2 classes have",
    ]


def test_a_long_value_loses_its_middle():
    assert quoted("a" * 78) == repr("a" * 78)
    assert len(quoted("a" * 79)) == len(quoted("b" * 10_000)) == 80
    assert quoted("c\x1b[2J") == "'c\\x1b[2J'"
    assert len(quoted("d" * 100, 60)) == 60


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_keeps_both_ends(kind):
    assert shown(kind("runs/mcti")) == "'runs/mcti'"
    short = shown(kind(f"runs/{'a' * 300}/x.png"))
    assert len(short) == 200 and short.startswith("'runs/") and short.endswith("/x.png'")


def test_a_text_is_cut_behind_as_many_letters():
    assert (shortened("abc", 3), shortened("abcd", 3)) == ("abc", "abc…")
