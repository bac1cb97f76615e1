"""Names of data sets and classes that a file cannot have, or that two would share."""

import itertools

import pytest

from common.errors import UserError
from common.names import LONGEST_NAME, LONGEST_STEM, file_stem, require_file_name

ODD = [
    "",
    ".",
    "..",
    "-",
    ":",
    "a:",
    ":a",
    "/",
    "../../etc/passwd",
    "folder:..",
    "folder:/",
    "folder:a",
    "folder:a/b",
    "folder:a-b",
    "folder-a-b",
    "folder-a:b",
    "folder:a:b",
    "folder:a b",
    "folder:a  b",
    "folder:a\\b",
    "folder:a\nb",
    "folder:a\x00b",
    "folder:a.",
    "folder:.a",
    "folder:a/",
    "folder:a//b",
    "folder:~/a",
    "~a",
    "folder:caf\u00e9",
    "folder:cafe\u0301",
    "folder:caf\udce9",
    "folder:\ud800",
    "folder:" + "a" * 5000,
    "folder:" + "a" * 5001,
    "folder:" + "犬" * 60,
    "folder:" + "\U0001f600" * 60,
    "folder:" + "\U0001f600" * 61,
    "folder:<script>",
    "folder:a|b",
    "folder:a*b",
    "folder:a?b",
    'folder:a"b',
]


@pytest.mark.parametrize("name", ODD, ids=[ascii(x)[:40] for x in ODD])
def test_every_name_has_a_stem_that_a_file_can_have(name, tmp_path):
    stem = file_stem(name)
    assert stem == file_stem(name) and 0 < len(stem.encode("utf-8")) <= LONGEST_STEM
    file = tmp_path / f"{stem}.json"
    file.write_text("{}")
    assert [*tmp_path.iterdir()] == [file] and not stem.startswith(".")
    assert require_file_name(stem, "the stem") == stem


def test_no_two_names_share_a_stem():
    stems = [file_stem(name) for name in ODD]
    assert len({stem.casefold() for stem in stems}) == len(ODD)


def test_a_name_that_imitates_a_stem_gets_another():
    stems = [file_stem("folder:a/b")]
    stems.append(file_stem(stems[0]))
    stems.append(file_stem(stems[0].replace("-", ":", 1)))
    assert len({*stems}) == 3


def test_short_names_of_few_letters_never_clash():
    names = ["".join(x) for n in range(5) for x in itertools.product("a:-/~.", repeat=n)]
    assert len({file_stem(name) for name in names}) == len(names)


UNFIT = {
    "": "cannot be the name",
    " ": "cannot be the name",
    ".": "cannot be the name",
    "..": "cannot be the name",
    "a/b": "holds a separator",
    "a\\b": "holds a separator",
    "a\x00": "holds a character that nobody sees",
    "a\x1b[2J": "holds a character that nobody sees",
    "a\u202eb": "holds a character that nobody sees",
    "caf\udce9": "is not UTF-8",
    "\U0001f600" * 60: f"has 240 bytes, more than the {LONGEST_NAME}",
    "a" * 201: "has 201 bytes",
}


@pytest.mark.parametrize(("name", "reason"), UNFIT.items(), ids=map(ascii, UNFIT))
def test_names_that_no_file_can_have_are_refused(name, reason):
    with pytest.raises(UserError, match=reason) as caught:
        require_file_name(name, "the class")
    assert str(caught.value).startswith("the class '") and str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["dog", "犬", "it's", "a b", "a" * 200, "..a", "São Tomé"])
def test_names_that_files_can_have_are_taken(name):
    assert require_file_name(name, "the class") == name
