"""JSON files that are damaged, hostile or of another shape."""

import gzip
import json
import os

import pytest

from common import files, strict_json
from common.errors import UserError
from common.files import read_json, read_list, read_record, read_strings, read_text, write_json

DEEP = strict_json.DEEPEST

GOOD = {
    "a byte order mark": (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
    "letters beyond the first plane": ('{"a": "😀"}'.encode(), {"a": "😀"}),
    "letters as pairs of escapes": (rb'{"a": "\ud83d\ude00"}', {"a": "😀"}),
    "the text of an escape": (rb'{"a": "\\ud83d"}', {"a": r"\ud83d"}),
    "white space around": (b'\r\n\t {"a": 1.5e3}\r\n', {"a": 1500.0}),
    "one key in two objects": (b'{"a": {"b": 1}, "c": {"b": 2}}', {"a": {"b": 1}, "c": {"b": 2}}),
    "the deepest that is allowed": (
        b'{"a": ' + b"[" * (DEEP - 1) + b"]" * (DEEP - 1) + b"}",
        None,
    ),
    "null": (b'{"a": null}', {"a": None}),
}

BAD = {
    "nothing": (b"", "cannot be read as JSON"),
    "cut in half": (b'{"a": [1, 2', "cannot be read as JSON"),
    "two values": (b"{} {}", "cannot be read as JSON"),
    "a comment": (b'{"a": 1} // one', "cannot be read as JSON"),
    "a comma too many": (b'{"a": 1,}', "cannot be read as JSON"),
    "single quotes": (b"{'a': 1}", "cannot be read as JSON"),
    "a key twice": (b'{"a": 1, "b": 2, "a": 3}', "holds the key 'a' twice"),
    "a key twice inside": (b'{"x": [{"a": 1, "a": 1}]}', "holds the key 'a' twice"),
    "not a number": (b'{"a": NaN}', "holds NaN, which is not a finite number"),
    "infinity": (b'{"a": Infinity}', "holds Infinity, which is not a finite number"),
    "minus infinity": (b'{"a": [-Infinity]}', "holds -Infinity, which is not a finite number"),
    "a float beyond all": (b'{"a": 1e999}', "holds 1e999, which is not a finite number"),
    "an integer of 5,000 digits": (b'{"a": ' + b"9" * 5000 + b"}", "cannot be read as JSON"),
    "half of a letter": (rb'{"a": "\ud83d"}', "cannot be read as JSON"),
    "half of a letter as a key": (rb'{"\udc00": 1}', "cannot be read as JSON"),
    "a line break in a text": (b'{"a": "b\nc"}', "cannot be read as JSON"),
    "nested deeply": (b'{"a": ' + b"[" * DEEP + b"]" * DEEP + b"}", "nested more than"),
    "nested beyond the stack": (b"[" * 200_000, "cannot be read as JSON"),
    "objects nested beyond the stack": (b'{"a":' * 200_000, "cannot be read as JSON"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "is not text in UTF-8"),
    "Latin-1": ('{"a": "é"}'.encode("latin-1"), "is not text in UTF-8"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(64), "is not text in UTF-8"),
    "a list": (b"[1, 2]", "holds no JSON object"),
    "a text": (b'"a"', "holds no JSON object"),
    "a pointer of Git-LFS": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
        "is a Git-LFS pointer",
    ),
}


@pytest.mark.parametrize(("content", "value"), GOOD.values(), ids=GOOD)
def test_what_is_plain_is_read(tmp_path, content, value):
    file = tmp_path / "x.json"
    file.write_bytes(content)
    assert value is None or read_json(file) == value
    (tmp_path / "x.json.gz").write_bytes(gzip.compress(content))
    assert read_json(tmp_path / "x.json.gz") == read_json(file)


@pytest.mark.parametrize(("content", "sentence"), BAD.values(), ids=BAD)
def test_what_is_not_is_one_sentence(tmp_path, content, sentence):
    file = tmp_path / "x.json"
    file.write_bytes(content)
    with pytest.raises(UserError, match=rf"^'.*x\.json' .*{sentence}") as caught:
        read_json(file, "try again")
    assert str(caught.value).endswith((": try again.", "or download the file."))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def places(folder):
    (folder / "folder.json").mkdir()
    os.mkfifo(folder / "pipe.json")
    (folder / "loop.json").symlink_to("loop.json")
    (folder / "dangling.json").symlink_to("nowhere")
    (folder / "file").touch()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("absent.json", "is missing"),
        ("dangling.json", "is missing"),
        ("file/below.json", "is missing"),
        ("folder.json", "not a file"),
        ("pipe.json", "not a file"),
        ("/dev/zero", "not a file"),
        ("loop.json", "cannot be read .*[Ss]ymbolic link"),
        ("x" * 5000, "cannot be read .*name too long"),
        ("nul\0.json", "cannot be read .*null"),
        ("half\ud800.json", "cannot be read .*encode"),
    ],
    ids=[
        "absent",
        "dangling",
        "below a file",
        "folder",
        "pipe",
        "device",
        "loop",
        "5000 letters",
        "NUL",
        "half a letter",
    ],
)
@pytest.mark.parametrize("read", [read_json, read_strings, read_text, files.read_bytes])
def test_paths_that_are_not_files(tmp_path, name, sentence, read):
    places(tmp_path)
    with pytest.raises(UserError, match=rf"{sentence}.*: try again\.$") as caught:
        read(tmp_path / name, "try again")
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (gzip.compress(b'{"a": "' + b"x" * 5000 + b'"}'), "unpacks to more than 1000 bytes"),
        (b'{"a": "' + b"x" * 5000 + b'"}', "is larger than 1000 bytes"),
        (gzip.compress(b"{}")[:-9], "cannot be unpacked"),
        (gzip.compress(b"{}") + b"\x1f\x8b\x08more", "cannot be unpacked"),
        (b"\x1f\x8b\x08", "cannot be unpacked"),
        (b"{}", "cannot be unpacked"),
    ],
    ids=["a bomb", "a large file", "cut short", "cut short behind", "a header alone", "plain"],
)
def test_sizes_and_gzip(tmp_path, content, sentence):
    file = tmp_path / ("x.json" if sentence.startswith("is larger") else "x.json.gz")
    file.write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        read_json(file, "try again", limit=1000)


def test_a_bomb_of_many_values(tmp_path, monkeypatch):
    monkeypatch.setattr(strict_json, "MOST_VALUES", 1000)
    file = tmp_path / "x.json"
    file.write_bytes(b'{"a": [' + b"0," * 1000 + b"0]}")
    with pytest.raises(UserError, match="holds more than 1000 values"):
        read_json(file)


@pytest.mark.parametrize("content", ["{}", "3", "null", '["a", 1]', "[[]]", "[]"])
def test_lists_of_strings(tmp_path, content):
    file = tmp_path / "x.json"
    file.write_text(content)
    with pytest.raises(UserError, match="holds no JSON list of strings: try again"):
        read_strings(file, "try again")
    if content.startswith("["):
        assert read_list(file) == json.loads(content)
    else:
        with pytest.raises(UserError, match="holds no JSON list: try again"):
            read_list(file, "try again")


def test_what_is_written_is_always_json(tmp_path):
    numbers = {"a": float("nan"), "b": [1.5, float("inf")], "c": ({"d": -float("inf")},)}
    write_json(tmp_path / "x.json", numbers)
    assert read_json(tmp_path / "x.json") == {"a": None, "b": [1.5, None], "c": [{"d": None}]}


def test_a_link_is_replaced_and_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "x.json").symlink_to(victim)
    write_json(tmp_path / "x.json", {})
    assert victim.read_text() == "mine" and not (tmp_path / "x.json").is_symlink()
    assert read_json(tmp_path / "x.json") == {}


@pytest.mark.parametrize(
    "name", ["folder.json", "file/below.json", "x" * 300, "nul\0.json", "half\ud800.json"]
)
def test_where_no_file_can_be(tmp_path, name):
    places(tmp_path)
    with pytest.raises(
        UserError, match=r"cannot be written .*: give the name of a file|is not a path"
    ):
        write_json(tmp_path / name, {})


def test_a_record_of_a_file(tmp_path):
    file = tmp_path / "x.json"
    file.write_text('{"a": "many"}')
    with pytest.raises(UserError, match=r"^a='many' in '.*x\.json' is not a whole number .*: try"):
        read_record(file, "try again").integer("a")


def test_a_published_key_twice_may_be_taken(tmp_path):
    file = tmp_path / "x.json"
    file.write_text('{"a": [1], "b": [2], "a": [3]}')
    twice = []
    assert read_json(file, repeated=twice) == {"a": [3], "b": [2]} and twice == ["a"]
