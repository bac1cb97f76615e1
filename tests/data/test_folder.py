import pytest

from common.data import open_dataset
from common.errors import UserError


def test_folder_of_classes_keeps_the_last_photos_for_testing(tmp_path, write_photo):
    for name in ("10", "9"):
        for photo in (1, 2, 10):
            write_photo(tmp_path / "pets" / name / f"{photo}.png", (photo, int(name), 0))

    dataset = open_dataset(f"folder:{tmp_path / 'pets'}", holdout=1)

    assert dataset.name == "pets"
    assert dataset.classnames == ("9", "10")
    assert dataset.train.names == ("9/1.png", "9/2.png", "10/1.png", "10/2.png")
    assert dataset.train.labels.tolist() == [0, 0, 1, 1]
    assert dataset.test.names == ("9/10.png", "10/10.png")
    assert dataset.test.labels.tolist() == [0, 1]
    assert dataset.test.load(1).getpixel((0, 0)) == (10, 10, 0)
    assert not set(dataset.train.names) & set(dataset.test.names)


def test_train_and_test_folders(tmp_path, write_photo):
    for part, photos in (("train", 3), ("test", 2)):
        for name in ("cat", "dog"):
            for photo in range(photos):
                write_photo(tmp_path / part / name / f"{photo}.JPG")

    dataset = open_dataset(f"folder:{tmp_path}", holdout=5)

    assert dataset.classnames == ("cat", "dog")
    assert (len(dataset.train), len(dataset.test), dataset.val) == (6, 4, None)
    write_photo(tmp_path / "val" / "dog" / "0.png")
    assert open_dataset(f"folder:{tmp_path}").val.labels.tolist() == [1]


def test_a_class_that_is_called_train_is_a_class(tmp_path, write_photo):
    for name in ("train", "bus"):
        for photo in range(2):
            write_photo(tmp_path / name / f"{photo}.png")

    assert open_dataset(f"folder:{tmp_path}").classnames == ("bus", "train")


def test_hidden_and_other_files_are_passed_over(tmp_path, write_photo):
    for photo in range(2):
        write_photo(tmp_path / "cat" / f"{photo}.png")
    write_photo(tmp_path / "cat" / "._0.png")
    write_photo(tmp_path / ".thumbnails" / "0.png")
    (tmp_path / "cat" / "notes.txt").write_text("no photo")
    (tmp_path / "cat" / "folder.png").mkdir()
    (tmp_path / "licence.txt").write_text("no class")

    dataset = open_dataset(f"folder:{tmp_path}")

    assert dataset.classnames == ("cat",)
    assert dataset.train.names + dataset.test.names == ("cat/0.png", "cat/1.png")


def test_underscores_of_class_names_are_kept(tmp_path, write_photo):
    for photo in range(2):
        write_photo(tmp_path / "yin_yang" / f"{photo}.png")

    assert open_dataset(f"folder:{tmp_path}").classnames == ("yin_yang",)


def test_what_is_missing_is_named(tmp_path, write_photo):
    with pytest.raises(UserError, match="does not exist"):
        open_dataset(f"folder:{tmp_path / 'gone'}")
    with pytest.raises(UserError, match="is empty: it needs one sub-folder per class"):
        open_dataset(f"folder:{tmp_path}")
    write_photo(tmp_path / "cat" / "0.png")
    (tmp_path / "dog").mkdir()
    with pytest.raises(
        UserError, match=r"dog holds no photos \(\..*, \.bmp, .*add some or remove it"
    ):
        open_dataset(f"folder:{tmp_path}")
    write_photo(tmp_path / "dog" / "0.png")
    with pytest.raises(UserError, match=r"class 'cat' of .* has 1 example, too few"):
        open_dataset(f"folder:{tmp_path}")


def test_test_classes_must_be_training_classes(tmp_path, write_photo):
    write_photo(tmp_path / "train" / "cat" / "0.png")
    write_photo(tmp_path / "test" / "dog" / "0.png")

    with pytest.raises(UserError, match=r"class 'dog' is in .*test but not among the training"):
        open_dataset(f"folder:{tmp_path}")


def test_broken_photos_are_named_when_they_are_opened(tmp_path, write_photo):
    for photo in range(2):
        write_photo(tmp_path / "cat" / f"{photo}.png")
    (tmp_path / "cat" / "0.png").write_bytes(b"no picture")

    with pytest.raises(UserError, match=r"cat/0\.png cannot be read"):
        open_dataset(f"folder:{tmp_path}").train.load(0)


def test_real_subjects_without_names(shared_data):
    dataset = open_dataset(f"folder:{shared_data / 'dreambooth15'}", holdout=1)

    assert len(dataset.classnames) == 15
    assert [n for n in dataset.classnames if n.startswith("dog")] == [
        "dog",
        "dog2",
        "dog3",
        "dog6",
    ]
    assert (len(dataset.train), len(dataset.test)) == (65, 15)
    assert dataset.train.load(0).size == (512, 512)
