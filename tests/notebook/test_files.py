"""Where the user's files come from."""

import sys
import types
import zipfile
from pathlib import Path

import pytest

from common.errors import UserError
from common.notebook import dataset, files, local_file, take_away


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def colab(monkeypatch):
    """A stand-in for Colab's package, which notes what it is asked for."""
    asked = []

    def mount(where):
        asked.append(("mount", where))
        Path(where, "MyDrive").mkdir(parents=True)

    def upload():
        asked.append(("upload",))
        Path("chosen.json").write_text("{}")
        return {"chosen.json": b"{}"}

    package = types.ModuleType("google.colab")
    package.drive = types.SimpleNamespace(mount=mount)
    package.files = types.SimpleNamespace(upload=upload, download=lambda path: asked.append(path))
    monkeypatch.setitem(sys.modules, "google", types.ModuleType("google"))
    monkeypatch.setitem(sys.modules, "google.colab", package)
    return asked


def make_zip(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "photo")
    return path


def test_an_empty_field_is_the_default():
    assert dataset("") == ""
    assert dataset("", "pocket:rare") == "pocket:rare"
    assert local_file("", prefix="json:") == ""


@pytest.mark.parametrize("spec", ["pocket:rare", "tfds:dtd", "features:file.npz"])
def test_a_data_set_string_stays(spec):
    assert dataset(spec) == spec


@pytest.mark.parametrize(
    ("names", "root"),
    [
        (("mug/1.jpg", "cup/1.jpg"), "mine.unpacked"),
        (("mine/mug/1.jpg", "mine/cup/1.jpg"), "mine.unpacked/mine"),
        (("a/mine/mug/1.jpg", "a/mine/cup/1.jpg", "__MACOSX/a/1.jpg"), "mine.unpacked/a/mine"),
        (("mug/1.jpg", "mug/2.jpg"), "mine.unpacked"),
        (("train/mug/1.jpg", "test/mug/1.jpg"), "mine.unpacked"),
    ],
)
def test_a_zip_gives_the_folder_of_classes(names, root):
    make_zip(Path("mine.zip"), *names)
    assert dataset("mine.zip") == f"folder:{root}"
    assert not Path("mine.unpacked/__MACOSX").exists()


def test_a_zip_is_unpacked_anew():
    make_zip(Path("mine.zip"), "mug/1.jpg", "cup/1.jpg")
    dataset("mine.zip")
    make_zip(Path("mine.zip"), "mug/1.jpg", "pot/1.jpg")
    assert dataset("mine.zip") == "folder:mine.unpacked-2"
    assert sorted(path.name for path in Path("mine.unpacked-2").glob("[!.]*")) == ["mug", "pot"]
    assert sorted(path.name for path in Path("mine.unpacked").glob("[!.]*")) == ["cup", "mug"]


def test_a_zip_writes_nowhere_else(folder):
    make_zip(Path("mine.zip"), "../../out.jpg", "mug/1.jpg")
    dataset("mine.zip")
    assert not (folder.parent / "out.jpg").exists()


def test_a_folder_is_taken_as_it_is():
    for name in ("mug", "cup"):
        Path("photos", name).mkdir(parents=True)
    assert dataset("photos") == "folder:photos"


@pytest.mark.parametrize(
    ("source", "named"),
    [("away", "'away'"), ("note.txt", "'note.txt'"), ("bad.zip", "not a zip"), ("upload", "Colab")],
)
def test_what_cannot_be_had_is_one_sentence(source, named):
    for name in ("note.txt", "bad.zip"):
        Path(name).write_text("no photo")
    with pytest.raises(UserError, match=named):
        dataset(source)


def test_upload_asks_for_a_file(colab):
    assert local_file("upload", prefix="json:") == "json:chosen.json"
    assert colab == [("upload",)]


def test_drive_is_mounted_once(colab, folder, monkeypatch):
    monkeypatch.setattr(files, "DRIVE", folder / "drive")
    for _ in range(2):
        assert local_file(str(folder / "drive" / "MyDrive")) == str(folder / "drive" / "MyDrive")
    assert colab == [("mount", str(folder / "drive"))]


def test_take_away_downloads_in_colab_alone(colab, monkeypatch):
    Path("out").mkdir()
    Path("out", "token").write_text("x")
    assert take_away("out") == Path("out.zip")
    assert colab == ["out.zip"]
    monkeypatch.delitem(sys.modules, "google.colab")
    assert take_away("out/token") == Path("out/token")
    assert colab == ["out.zip"]


def test_take_away_leaves_what_is_there(colab):
    Path("out").mkdir()
    Path("out.zip").write_text("mine")
    Path("out-2.zip").symlink_to("nowhere")
    assert take_away("out") == Path("out-3.zip")
    assert Path("out.zip").read_text() == "mine" and not Path("nowhere").exists()
    assert colab == ["out-3.zip"]
