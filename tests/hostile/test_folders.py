"""Folders of photos as people, phones and other programs leave them."""

import os
import unicodedata

import pytest

from common.data import open_dataset
from common.data.passed_over import in_droppings, is_dropping, listed
from common.data.places import is_file, is_folder, local_path
from common.errors import UserError
from tests.hostile.photo_files import classes, encoded, noise, photo


def opened(root, holdout=1):
    return open_dataset(f"folder:{root}", holdout=holdout)


DROPPINGS = (
    *("__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "lost+found", "System Volume Information"),
    *(".ipynb_checkpoints", ".DS_Store", "Thumbs.db", "desktop.ini", "Desktop.ini", "._1.jpg"),
    *("Icon\r", "__pycache__", "ehthumbs.db", ".Trash-1000"),
)


@pytest.mark.parametrize("name", DROPPINGS)
def test_what_machines_leave_is_nobodys_photo(tmp_path, name):
    classes(tmp_path, "cat", "dog")
    for folder in (tmp_path, tmp_path / "cat"):
        photo(folder / name / "0.png") if "." not in name[1:] else photo(folder / name)
    dataset = opened(tmp_path)
    assert is_dropping(name)
    assert (dataset.classnames, len(dataset.train)) == (("cat", "dog"), 2)
    assert dataset.passed_over == ()


def test_a_class_may_be_called_nearly_so(tmp_path):
    classes(tmp_path, "desktop", "MACOSX", "thumbs")
    assert opened(tmp_path).classnames == ("MACOSX", "desktop", "thumbs")
    assert not in_droppings((tmp_path / "thumbs").relative_to(tmp_path))


PARTS = {
    "train and test": (("train", "test"), "test", None),
    "train, val and test": (("train", "val", "test"), "test", "val"),
    "train and val": (("train", "val"), "val", None),
    "train and valid": (("train", "valid"), "valid", None),
    "train and validation": (("train", "validation"), "validation", None),
    "train, valid and test": (("train", "valid", "test"), "test", "valid"),
    "capitals": (("Train", "Test"), "Test", None),
    "training and testing": (("training", "testing"), "testing", None),
    "train and dev": (("TRAIN", "Dev"), "Dev", None),
}


@pytest.mark.parametrize("name", PARTS)
def test_parts_by_their_usual_names(tmp_path, name, capsys):
    parts, test, val = PARTS[name]
    for number, part in enumerate(parts):
        classes(tmp_path / part, "cat", "dog", photos=number + 1)
    dataset = opened(tmp_path, holdout=5)
    assert dataset.classnames == ("cat", "dog")
    assert len(dataset.train) == 2
    assert len(dataset.test) == 2 * (parts.index(test) + 1)
    assert (dataset.val is None) == (val is None)
    said = capsys.readouterr().out
    assert (f"its folder '{test}' is tested on" in said) == (
        test.lower() not in ("test", "testing")
    )


def test_classes_of_the_parts_names_stay_classes(tmp_path):
    assert opened(classes(tmp_path, "train", "val", "bus")).classnames == ("bus", "train", "val")


def test_test_photos_without_classes_are_not_a_test(tmp_path, capsys):
    classes(tmp_path / "train", "cat", "dog", photos=3)
    classes(tmp_path / "val", "cat", "dog", photos=2)
    photo(tmp_path / "test" / "1.png")
    dataset = opened(tmp_path)
    assert (len(dataset.train), len(dataset.test)) == (6, 4)
    assert "tested on" in capsys.readouterr().out
    assert "1 folder (without class folders), e.g. test" in listed(dataset.passed_over)


def test_training_photos_without_classes(tmp_path):
    photo(tmp_path / "train" / "1.png")
    classes(tmp_path / "test", "cat")
    with pytest.raises(UserError, match=r"train holds no class folders: a photo of a part lies at"):
        opened(tmp_path)


def test_two_folders_for_one_part(tmp_path):
    for part in ("train", "val", "valid"):
        classes(tmp_path / part, "cat")
    with pytest.raises(UserError, match="holds both 'val' and 'valid': leave one"):
        opened(tmp_path)


def test_train_alone_is_named(tmp_path):
    classes(tmp_path / "train", "cat", "dog")
    with pytest.raises(UserError, match=r"one level deeper: give .*train, or move the photos up"):
        opened(tmp_path)


def test_what_lies_beside_the_parts_is_said(tmp_path):
    for part in ("train", "test", "labels"):
        classes(tmp_path / part, "cat")
    assert "1 folder (no part of the data set), e.g. labels" in map(
        str, opened(tmp_path).passed_over
    )


def test_photos_without_any_folder(tmp_path):
    for number in range(3):
        photo(tmp_path / f"{number}.png")
    with pytest.raises(UserError, match="holds 3 photos and no folders: put the photos of each"):
        opened(tmp_path)


def test_photos_one_level_too_deep(tmp_path):
    classes(tmp_path / "animals", "cat", "dog")
    with pytest.raises(
        UserError, match=r"animals holds folders and no photos, .* one level deeper"
    ):
        opened(tmp_path)


def test_what_is_passed_over_is_counted(tmp_path):
    classes(tmp_path, "cat", "dog", photos=3)
    for number in range(2):
        (tmp_path / "cat" / f"{number}.heic").write_bytes(b"x")
        (tmp_path / "dog" / f"{number + 2}.txt").write_text("x")
    (tmp_path / "dog" / "README").write_text("x")
    photo(tmp_path / "loose.png")
    photo(tmp_path / "cat" / "inner" / "0.png")
    found = opened(tmp_path).passed_over
    convert, reason = "(to be converted to JPEG or PNG)", "(not a photo's suffix)"
    assert sorted(map(str, found)) == [
        f"1 .txt file {reason}, e.g. dog/3.txt",
        "1 caption (text beside a photo, not asked for), e.g. dog/2.txt",
        "1 folder inside of a class's (photos lie in that of the class directly), e.g. cat/inner",
        f"1 photo (in no class's folder), e.g. {tmp_path.name}/loose.png",
        f"1 suffixless file {reason}, e.g. dog/README",
        f"2 .heic files {convert}, e.g. cat/0.heic",
    ]
    read = listed(found, ("caption", "photo"))
    assert "2 .heic files" in read and "caption" not in read and "loose" not in read


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.heic", r"but 1 \.heic file \(to be converted to JPEG or PNG\)"),
        ("a.HEIC", r"but 1 \.heic file \(to be converted to JPEG or PNG\)"),
        ("a.cr2", r"but 1 \.cr2 file \(to be converted to JPEG or PNG\)"),
        ("a.jp2", r"but 1 \.jp2 file \(to be converted to JPEG or PNG\)"),
        ("a.mp4", r"but 1 \.mp4 file \(not a photo's suffix\)"),
        ("a", r"but 1 suffixless file \(not a photo's suffix\)"),
    ],
)
def test_a_class_without_readable_photos(tmp_path, name, said):
    classes(tmp_path, "cat")
    (tmp_path / "dog").mkdir()
    (tmp_path / "dog" / name).write_bytes(b"x")
    with pytest.raises(UserError, match=f"dog holds no photos .*{said}: add photos"):
        opened(tmp_path)


@pytest.mark.parametrize(
    "suffix", ["jpg", "JPG", "Jpeg", "jpe", "jfif", "webp", "bmp", "tif", "gif"]
)
def test_suffixes_of_photos(tmp_path, suffix):
    classes(tmp_path, "cat")
    photo(tmp_path / "cat" / f"x.{suffix}")
    assert len(opened(tmp_path).train) == 2


def test_pipes_and_links(tmp_path):
    classes(tmp_path, "cat", "dog")
    os.mkfifo(tmp_path / "cat" / "pipe.png")
    (tmp_path / "cat" / "away.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "cat" / "round.png").symlink_to(tmp_path / "cat" / "round.png")
    (tmp_path / "cat" / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "round").symlink_to(tmp_path / "round")
    (tmp_path / "dog" / "kept.png").symlink_to(tmp_path / "cat" / "0.png")
    dataset = opened(tmp_path)
    assert dataset.classnames == ("cat", "dog")
    assert len(dataset.train) == 3
    assert "5 links, pipes or devices" in listed(dataset.passed_over)


def test_a_folder_that_holds_itself(tmp_path):
    classes(tmp_path, "cat", "dog")
    (tmp_path / "cat" / "up").symlink_to(tmp_path)
    assert len(opened(tmp_path).train) == 2


def test_names_that_are_not_text(tmp_path):
    classes(tmp_path, "cat")
    bad = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(bad)
    with pytest.raises(UserError, match=r"the name 'caf\\udce9' in .* is not UTF-8: rename it"):
        opened(tmp_path)
    os.rmdir(bad)
    with open(os.fsencode(tmp_path / "cat") + b"/\xff.png", "wb") as file:
        file.write(encoded(noise()))
    with pytest.raises(UserError, match=r"'\\udcff.png' in .*cat is not UTF-8: rename it"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("c\x1b[2Jat", "holds a character that nobody sees"),
        ("c\nat", "holds a character that nobody sees"),
        ("\u202etac", "holds a character that nobody sees"),
        ("a\\b", "holds a separator"),
        ("x" * 201, "has 201 bytes"),
        ("\U0001f600" * 60, "has 240 bytes"),
    ],
)
def test_class_names_that_no_file_of_ours_could_have(tmp_path, name, said):
    classes(tmp_path, name)
    with pytest.raises(UserError, match=f"the class folder in .* {said}.*: rename it"):
        opened(tmp_path)


@pytest.mark.parametrize("name", ["naïve café", "猫", "ß", "-", "a b", "100%", "{}", "rock'n'roll"])
def test_class_names_in_any_language(tmp_path, name):
    assert opened(classes(tmp_path, name, "zebra")).classnames.count(name) == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("cat", "Cat"),
        ("STRASSE", "straße"),
        (unicodedata.normalize("NFC", "café"), unicodedata.normalize("NFD", "café")),
    ],
)
def test_classes_that_nobody_can_tell_apart(tmp_path, first, second):
    classes(tmp_path, first, second)
    with pytest.raises(UserError, match="differ in capitals or accents' encoding alone: merge"):
        opened(tmp_path)


def test_parts_of_two_systems(tmp_path):
    classes(tmp_path / "train", unicodedata.normalize("NFC", "café"))
    classes(tmp_path / "test", unicodedata.normalize("NFD", "café"))
    dataset = opened(tmp_path)
    assert dataset.test.labels.tolist() == [0, 0]


PATHS = {
    "of 5,000 letters": ("x" * 5000, "is not a path"),
    "of 5,000 letters in parts": ("/".join(["xyz"] * 1500), "is not a path"),
    "nobody's home": ("~nobody_at_all/photos", "there is no user"),
    "a zero byte": ("a\0b", "is not a path"),
    "a half letter": ("a\udcff", "does not exist|is not a path|is not UTF-8|is not text"),
    "a bucket": ("gs://bucket/photos", "in a bucket"),
    "an address": ("https://example.org/photos.zip", "give a path"),
    "absent": ("/nowhere/at/all", "does not exist"),
    "a file": (__file__, "does not exist"),
    "below a file": (f"{__file__}/photos", "does not exist"),
    "a device": ("/dev/null", "does not exist"),
    "spaces": ("  ", "is not a data set"),
}


@pytest.mark.parametrize("kind", ["folder", "coop", "features"])
@pytest.mark.parametrize("name", PATHS)
def test_paths_where_no_data_can_be(kind, name):
    where, said = PATHS[name]
    if kind != "folder":
        said = f"{said}|cannot be read|holds no|is missing|is not"
    with pytest.raises(UserError, match=said) as refused:
        open_dataset(f"{kind}:{where}")
    assert len(str(refused.value)) < 1000


def test_a_folder_that_nobody_may_read(tmp_path, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    with pytest.raises(UserError, match=r"cannot be read \(Permission denied\): give one"):
        opened(tmp_path)


def test_questions_about_places_never_raise(tmp_path):
    for path in ("x" * 5000, "a\0b", "a\udcff", tmp_path / "gone"):
        assert not is_file(path) and not is_folder(path)
    assert local_path(str(tmp_path)) == tmp_path


def test_strings_that_forgot_the_kind(tmp_path):
    with pytest.raises(UserError, match=f"perhaps folder:{tmp_path}"):
        open_dataset(str(tmp_path))
