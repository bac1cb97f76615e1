"""Zips that strangers packed: paths that lead out, links, bombs, passwords, absurd names."""

import stat
import struct
import zipfile
from pathlib import Path

import pytest

from common.errors import UserError
from common.notebook import archive, dataset, take_away
from common.notebook.archive import packed, unpacked


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    inside = tmp_path / "inside"
    inside.mkdir()
    monkeypatch.chdir(inside)
    return inside


def make(*members, name="mine.zip", method=zipfile.ZIP_STORED) -> Path:
    """A zip of names, or of names with contents, or of entries with contents."""
    with zipfile.ZipFile(name, "w", method) as opened:
        for member in members:
            opened.writestr(*(member if isinstance(member, tuple) else (member, "photo")))
    return Path(name)


def files_in(where: Path) -> list[str]:
    return sorted(str(x.relative_to(where)) for x in where.rglob("[!.]*") if x.is_file())


def linked(name: str, to: str, kind: int = stat.S_IFLNK):
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (kind | 0o777) << 16
    return info, to


OUTSIDE = {
    "up": "../out.jpg",
    "far up": "../../../../../../tmp/out.jpg",
    "up inside": "cat/../../out.jpg",
    "from the root": "/tmp/out.jpg",
    "Windows' up": "..\\out.jpg",
    "a drive": "C:\\out.jpg",
    "a drive without a slash": "C:out.jpg",
    "a link": linked("cat/link.jpg", "/etc/passwd"),
    "a link to a folder": linked("cat", "/etc"),
    "a pipe": linked("cat/pipe.jpg", "", stat.S_IFIFO),
    "a device": linked("cat/zero.jpg", "", stat.S_IFCHR),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_what_leads_out_is_left_out_and_said(folder, name, capsys):
    found = unpacked(make("mug/1.jpg", OUTSIDE[name], "cup/1.jpg"))
    assert files_in(found) == ["cup/1.jpg", "mug/1.jpg"]
    assert sorted(path.name for path in folder.parent.iterdir()) == ["inside"]
    assert not any(path.is_symlink() for path in folder.rglob("*"))
    assert "Left out of mine.zip: 1 whose name or kind" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["./", "."])
def test_the_folder_itself_is_passed_over(name):
    assert files_in(unpacked(make(name, "cat/1.jpg"))) == ["cat/1.jpg"]


@pytest.mark.parametrize(
    "name", ["__MACOSX/cat/._1.jpg", "cat/.DS_Store", "cat/Thumbs.db", ".ipynb_checkpoints/1.jpg"]
)
def test_what_machines_leave_is_not_unpacked(name):
    assert files_in(unpacked(make("cat/1.jpg", name))) == ["cat/1.jpg"]


def test_windows_folders_are_folders():
    assert files_in(unpacked(make("cat\\1.jpg", "dog\\1.jpg"))) == ["cat/1.jpg", "dog/1.jpg"]


REFUSED = {
    "a part of 300 letters": (["x" * 300 + "/1.jpg"], "a name that no file can have"),
    "a path of 5,000 letters": (["/".join(["abc"] * 1300)], "a name that no file can have"),
    "sixty letters of four bytes": (["\U0001f600" * 64 + "/1.jpg"], "a name that no file can"),
    "the same file twice": (["cat/1.jpg", "cat\\1.jpg"], "holds 'cat/1.jpg' twice"),
    "a file for a folder": (["cat", "cat/1.jpg"], "holds 'cat/1.jpg' twice"),
    "a folder for a file": (["cat/1.jpg", "cat"], "cannot be unpacked"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_names_that_cannot_lie_in_one_folder(folder, name):
    members, said = REFUSED[name]
    with pytest.raises(UserError, match=said):
        unpacked(make(*members))
    assert [path.name for path in folder.iterdir()] == ["mine.zip"]


def test_bombs():
    bomb = make(("cat/1.jpg", bytes(2**27)), method=zipfile.ZIP_DEFLATED)
    with pytest.raises(UserError, match="unpacks to 134217728 bytes, 200 times its own size"):
        unpacked(bomb)


def test_more_than_the_disk_has(monkeypatch):
    monkeypatch.setattr(archive, "LARGEST", 7)
    with pytest.raises(UserError, match="unpacks to 10 bytes, but there is room for 7"):
        unpacked(make("cat/1.jpg", "cat/2.jpg"))


def damaged(change) -> Path:
    path = make("cat/1.jpg", "dog/1.jpg")
    content = bytearray(path.read_bytes())
    change(content)
    path.write_bytes(content)
    return path


def set_at(content, mark, offset, value):
    for start in (content.find(mark), content.find(mark, content.find(mark) + 1)):
        content[start + offset : start + offset + len(value)] = value


DAMAGES = {
    "a password": (lambda c: set_at(c, b"PK\1\2", 8, b"\1\0"), "locked with a password"),
    "an unknown method": (lambda c: set_at(c, b"PK\1\2", 10, b"\x63\0"), "cannot be unpacked"),
    "Windows' large method": (lambda c: set_at(c, b"PK\1\2", 10, b"\x09\0"), "cannot be unpacked"),
    "a flipped byte": (lambda c: set_at(c, b"photo", 0, b"P"), "not a zip|cannot be unpacked"),
    "an offset beyond the end": (
        lambda c: set_at(c, b"PK\1\2", 42, struct.pack("<I", 2**31)),
        "not a zip|cannot be unpacked",
    ),
    "a smaller size": (lambda c: set_at(c, b"PK\1\2", 24, struct.pack("<I", 2)), "zip|unpacked"),
    "a larger size": (lambda c: set_at(c, b"PK\1\2", 24, struct.pack("<I", 99)), "zip|unpacked"),
    "half a file": (lambda c: c.__delitem__(slice(len(c) // 2, None)), "is not a zip"),
    "nothing": (lambda c: c.clear(), "is not a zip"),
    "zeros": (lambda c: c.__setitem__(slice(None), bytes(len(c))), "is not a zip"),
    "text": (lambda c: c.__setitem__(slice(None), b"not a zip"), "is not a zip"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_archives_that_are_damaged_leave_nothing_behind(folder, name):
    change, said = DAMAGES[name]
    with pytest.raises(UserError, match=said):
        unpacked(damaged(change))
    assert [path.name for path in folder.iterdir()] == ["mine.zip"]


def test_a_folder_of_the_users_stays(folder):
    kept = folder / "mine.unpacked" / "kept.txt"
    kept.parent.mkdir()
    kept.write_text("mine")
    assert unpacked(make("cat/1.jpg")) == Path("mine.unpacked-2")
    assert kept.read_text() == "mine"


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_file_of_the_users_stays(folder, kind):
    kept = folder / "mine.unpacked"
    kept.write_text("mine") if kind == "file" else kept.symlink_to("/nowhere")
    assert unpacked(make("cat/1.jpg")) == Path("mine.unpacked-2")
    assert kept.is_symlink() or kept.read_text() == "mine"


def test_the_same_zip_is_unpacked_once(folder):
    first = unpacked(make("cat/1.jpg", "cat/2.jpg"))
    (first / "cat" / "2.jpg").unlink()
    assert unpacked(Path("mine.zip")) == first
    assert files_in(first) == ["cat/1.jpg"], "what the user took out stays out"
    assert unpacked(make("cat/1.jpg", "cat/3.jpg")) == Path("mine.unpacked-2")
    assert unpacked(Path("mine.zip")) == Path("mine.unpacked-2")


def test_long_names_of_archives():
    name = f"{'x' * 240}.zip"
    found = unpacked(make("cat/1.jpg", name=name))
    assert files_in(found) == ["cat/1.jpg"] and len(found.name) < 200


def test_only_folders_wrapped_in_folders_are_opened():
    deep = "/".join("abcdefghijklmnop")
    assert dataset(str(make(f"{deep}/cat/1.jpg"))) == "folder:mine.unpacked/a/b/c/d/e/f/g/h"


def test_a_zip_of_nothing_but_droppings():
    assert dataset(str(make("__MACOSX/._1.jpg"))) == "folder:mine.unpacked"


@pytest.mark.parametrize(
    "source", ["~nobody_at_all/x.zip", "x" * 5000, "a\0b.zip", "https://example.org/x.zip"]
)
def test_places_where_no_zip_is(source):
    with pytest.raises(UserError):
        dataset(source)


def test_a_zip_of_ours_overwrites_nothing(folder):
    (folder / "out").mkdir()
    (folder / "out" / "token").write_text("x")
    (folder / "out.zip").write_text("mine")
    assert take_away("out") == Path("out-2.zip")
    assert (folder / "out.zip").read_text() == "mine"


def test_a_zip_of_ours_holds_no_file_from_elsewhere(folder):
    (folder / "out" / "deep").mkdir(parents=True)
    (folder / "out" / "deep" / "token").write_text("x")
    (folder / "out" / "secret").symlink_to("/etc/passwd")
    (folder / "out" / "elsewhere").symlink_to("/etc")
    with zipfile.ZipFile(packed(Path("out"))) as opened:
        assert opened.namelist() == ["deep/token"]
