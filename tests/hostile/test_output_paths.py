"""Paths to write to: too long, below a file, a folder, a FIFO, a link, nobody's home."""

import os

import pytest

from common.errors import UserError
from common.files import atomic_write
from common.paths import as_output, as_output_folder, as_path, require_writable, within
from common.training.workdir import evaluation_file


@pytest.fixture
def place(tmp_path):
    """A folder with one of each kind of thing."""
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere" / "x")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "to folder").symlink_to("folder")
    (tmp_path / "to file").symlink_to("file")
    return tmp_path


def state(folder):
    return sorted(
        (str(x.relative_to(folder)), x.read_text() if x.is_file() else "")
        for x in folder.rglob("*")
    )


NO_PATH = {
    "empty": ("", "a path is empty"),
    "blank": ("  ", "a path is empty"),
    "5000 letters": ("a" * 5000, r"is not a path \(File name too long\)"),
    "5000 folders": ("a/" * 5000, r"is not a path \(File name too long\)"),
    "long name": ("a" * 300, r"is not a path \(File name too long\)"),
    "unknown user": ("~nobody-of-that-name/x", "there is no user 'nobody-of-that-name'"),
    "zero byte": ("a\0b", r"is not a path \(.*null"),
    "half a character": ("a\ud800b", "is not a path"),
    "links in a circle": ("loop/x", "is not a path"),
    "other service": ("s3://mine/x", r"is not a folder: give a path, or gs://BUCKET/FOLDER"),
    "web address": ("https://a.b/c", "is not a folder: give a path, or gs"),
    "shouted scheme": ("GS://mine/x", "is not a folder: give a path, or gs://BUCKET/FOLDER"),
    "mixed scheme": ("Gs://mine/x", "is not a folder"),
    "no bucket": ("gs://", "names no bucket"),
    "no bucket but a folder": ("gs:///a", "names no bucket"),
    "odd bucket": ("gs://My Bucket/a", "names no bucket"),
    "bucket of dots": ("gs://../a", "names no bucket"),
    "out of the bucket": ("gs://mine/../yours", "is not a folder of a bucket"),
    "line break in a bucket": ("gs://mine/a\nb", "is not a folder of a bucket"),
}


@pytest.mark.parametrize("name", NO_PATH)
@pytest.mark.parametrize("take", [as_path, lambda x: as_output(x, "--out")], ids=["in", "out"])
def test_what_is_not_a_path_is_refused(name, take, place, monkeypatch):
    monkeypatch.chdir(place)
    text, reason = NO_PATH[name]
    before = state(place)
    with pytest.raises(UserError, match=reason) as caught:
        take(text)
    assert len(str(caught.value)) < 400
    assert state(place) == before


NO_FILE = {
    "a folder": ("folder", "--out=folder is a folder: give the name of a file"),
    "a link to a folder": ("to folder", "is a folder"),
    "slash at the end": ("new/", "is the name of a folder"),
    "here": (".", "is the name of a folder"),
    "above": ("..", "is the name of a folder"),
    "root": ("/", "is the name of a folder"),
    "below a file": ("file/x", "--out=file/x cannot be a folder: .*file is a file"),
    "deep below a file": ("file/x/y/z", "cannot be a folder: .*file is a file"),
    "below a FIFO": ("fifo/x", "cannot be a folder: .*fifo is not a folder"),
    "below a dangling link": ("dangling/x", "cannot be a folder: .*dangling is not a folder"),
    "a FIFO": ("fifo", "is not a usual file and is left alone"),
    "a device": ("/dev/null", "/dev/null is not a usual file and is left alone"),
    "name of 240 bytes": ("\U0001f600" * 60, "a name of 240 bytes is too long"),
}


@pytest.mark.parametrize(("name", "reason"), NO_FILE.values(), ids=NO_FILE)
def test_what_cannot_be_a_file_is_refused(name, reason, place, monkeypatch):
    monkeypatch.chdir(place)
    before = state(place)
    with pytest.raises(UserError, match=reason):
        as_output(name, "--out")
    assert state(place) == before


NO_FOLDER = {
    "a file": "file",
    "below a file": "file/x",
    "a FIFO": "fifo",
    "a dangling link": "dangling",
    "a device": "/dev/null",
}


@pytest.mark.parametrize("name", NO_FOLDER.values(), ids=NO_FOLDER)
def test_what_cannot_be_a_folder_is_refused(name, place, monkeypatch):
    monkeypatch.chdir(place)
    with pytest.raises(UserError, match=f"--workdir={name} cannot be a folder: .* is "):
        as_output_folder(name, "--workdir")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(place):
    (place / "folder").chmod(0o500)
    with pytest.raises(UserError, match="no permission for"):
        as_output(place / "folder" / "x", "--out")


def test_permission_is_asked_for(place, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK | os.X_OK)
    with pytest.raises(UserError, match=r"--out=x cannot be written: no permission for .*folder"):
        require_writable(place / "folder" / "new", "--out", "x")


@pytest.mark.parametrize("name", ["new.md", "new/deep/x.md", "file", "to file", "dangling", "a b"])
def test_what_can_be_written_is_taken(name, place, monkeypatch):
    monkeypatch.chdir(place)
    assert as_output(name, "--out") == as_path(name)
    assert as_output_folder("folder/new", "--out") == as_path("folder/new")


def test_a_suffix_that_is_asked_for(place):
    assert as_output(place / "A.PNG", "--out", ".png").name == "A.PNG"
    with pytest.raises(UserError, match=r"--out=.*a\.jpg must end in \.png"):
        as_output(place / "a.jpg", "--out", ".png")


@pytest.mark.parametrize("name", ["x.safetensors", "new/X.PNG", "x.json"])
def test_a_new_folder_is_not_called_as_files_are(name, place, monkeypatch):
    monkeypatch.chdir(place)
    with pytest.raises(UserError, match=f"--out={name} is to be a folder and ends in "):
        as_output_folder(name, "--out")
    (place / "new").mkdir()
    (place / name).mkdir()
    assert as_output_folder(name, "--out") == as_path(name)
    assert as_output_folder("runs/v1.5", "--out") == as_path("runs/v1.5")


def test_a_bucket_is_refused_where_a_disk_is_needed():
    pytest.importorskip("gcsfs")
    with pytest.raises(UserError, match="is in a bucket: name a folder of this machine"):
        as_output_folder("gs://mine/x", "OUT", local=True)


def test_a_home_is_found(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert as_output("~/x.md", "--out") == tmp_path / "x.md"


def test_writing_replaces_a_link_and_leaves_its_target(place):
    with atomic_write(place / "to file") as path:
        path.write_text("new")
    assert (place / "file").read_text() == "mine"
    assert (place / "to file").read_text() == "new" and not (place / "to file").is_symlink()


def test_links_in_a_folder_of_others_are_not_followed(place):
    assert within(place, "folder", "new") == place / "folder" / "new"
    for names in (("to folder",), ("to folder", "x"), ("dangling",)):
        with pytest.raises(UserError, match="is a link, which is not followed"):
            within(place, *names)


def test_evaluations_stay_in_their_run(place):
    run = place / "folder"
    names = ["pocket:a", "folder:a/b", "folder:a-b", "../../x", "..", ""]
    files = [evaluation_file(run, name) for name in names]
    assert files[0] == run / "eval" / "pocket-a.json"
    assert len({*files}) == len(names) and {file.parent for file in files} == {run / "eval"}
    assert evaluation_file(run, "pocket:a", "run1").name == "pocket-a~run1.json"
    assert not (run / "eval").exists()


@pytest.mark.parametrize("name", ["eval as a link", "eval as a file"])
def test_an_evaluation_has_a_folder_or_is_refused_before_it_is_made(name, place):
    run = place / "folder"
    if name == "eval as a link":
        (run / "eval").symlink_to(place)
    else:
        (run / "eval").write_text("mine")
    with pytest.raises(UserError, match=r"is a link|is a file"):
        evaluation_file(run, "pocket:a")
