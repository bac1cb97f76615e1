"""Files that are whole, and JSON files that say what is wrong with them."""

import contextlib
import gzip

import pytest

from common.errors import UserError
from common.files import atomic_write, read_json, read_strings, remove_partial, write_json


def test_files_appear_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with atomic_write(path) as temporary:
        temporary.write_text("first")
        assert not path.exists()
    assert path.read_text() == "first"
    assert path.stat().st_mode & 0o444 == 0o444
    with pytest.raises(RuntimeError), atomic_write(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert [p.read_text() for p in path.parent.iterdir()] == ["first"]


def test_what_a_killed_program_left_is_removed(tmp_path):
    with contextlib.suppress(KeyboardInterrupt), atomic_write(tmp_path / "a" / "x.npz") as path:
        copy = path.with_name(path.name.replace("x", "y", 1))
        copy.touch()  # As if the program had been killed before the end of the block.
        raise KeyboardInterrupt
    (tmp_path / "a" / ".hidden").touch()
    (tmp_path / "a" / "x.npz").touch()
    remove_partial(tmp_path, seconds=1000.0)
    assert copy.exists()
    remove_partial(tmp_path)
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == [".hidden", "x.npz"]
    remove_partial(tmp_path / "absent")


@pytest.mark.parametrize("name", ["x.json", "x.json.gz"])
def test_json_and_back(tmp_path, name):
    content = {"a": [1, None], "b": {"ü": 0.5}}
    write_json(tmp_path / "x.json", content)
    if name.endswith(".gz"):
        (tmp_path / name).write_bytes(gzip.compress((tmp_path / "x.json").read_bytes()))
    assert read_json(tmp_path / name) == content


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("x.json", None, "is missing: try again"),
        ("x.json", b"{", "cannot be read as JSON .*: try again"),
        ("x.json", b"\xff\xfe\xff", "is not text in UTF-8 .*: try again"),
        ("x.json", b"[1]", "holds no JSON object: try again"),
        ("x.json.gz", b"{}", "cannot be unpacked .*: try again"),
        ("x.json.gz", gzip.compress(b"{}", mtime=0)[:-4], "cannot be unpacked .*: try again"),
    ],
)
def test_bad_json_is_one_sentence(tmp_path, name, content, sentence):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"{name}' {sentence}\.$"):
        read_json(tmp_path / name, "try again")


def test_strings(tmp_path):
    file = tmp_path / "x.json"
    file.write_text('["a", ""]')
    assert read_strings(file) == ["a", ""]
    for content in ("{}", "[]", "[1]", '"a"'):
        file.write_text(content)
        with pytest.raises(UserError, match=r"holds no JSON list of strings: try again\.$"):
            read_strings(file, "try again")
