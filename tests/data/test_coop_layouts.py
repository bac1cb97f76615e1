"""CoOp's data sets that have no split JSON."""

import pytest

from common.data import open_dataset
from common.errors import UserError


def photos(root, write_photo, *paths):
    for number, path in enumerate(paths):
        write_photo(root / path, (number, 0, 0))


@pytest.fixture
def imagenet(tmp_path, write_photo):
    root = tmp_path / "imagenet"
    parts = ("train/n02/b.png", "train/n01/a.png", "train/n01/c.png", "val/n01/d.png")
    photos(root / "images", write_photo, *parts, "val/n02/e.png")
    (root / "classnames.txt").write_text("n01 tench\nn02 great white shark\n")
    return root


def test_imagenet(imagenet):
    dataset = open_dataset(f"coop:{imagenet}")
    assert dataset.name == "imagenet"
    assert dataset.classnames == ("tench", "great white shark")
    assert dataset.train.names[0] == "images/train/n01/a.png"
    assert dataset.train.labels.tolist() == [0, 0, 1]
    assert dataset.test.names == ("images/val/n01/d.png", "images/val/n02/e.png")


@pytest.mark.parametrize("folders", [("n03", "n01"), ("2", "0")])
def test_a_variant_is_for_testing_and_keeps_the_classes_that_it_shows(
    tmp_path, write_photo, folders
):
    photos(tmp_path / "x", write_photo, *(f"imagenet-r/{name}/a.png" for name in folders))
    (tmp_path / "x/imagenet-r/README.txt").write_text("")
    (tmp_path / "x/classnames.txt").write_text("n01 tench\nn02 shark\nn03 cock\n")
    dataset = open_dataset(f"coop:{tmp_path / 'x'}")
    assert dataset.classnames == ("tench", "cock")
    assert dataset.test.labels.tolist() == [0, 1]
    assert dataset.test.names == tuple(f"imagenet-r/{name}/a.png" for name in reversed(folders))
    assert len(dataset.train) == 0


def test_aircraft(tmp_path, write_photo):
    photos(tmp_path, write_photo, *(f"images/{name}.jpg" for name in ("01", "02", "03")))
    (tmp_path / "variants.txt").write_text("707-320\nCessna 525\n")
    for part, line in (("train", "02 Cessna 525"), ("val", "03 707-320"), ("test", "01 707-320")):
        (tmp_path / f"images_variant_{part}.txt").write_text(f"{line}\n")
    dataset = open_dataset(f"coop:{tmp_path}")
    assert dataset.classnames == ("707-320", "Cessna 525")
    assert (dataset.train.names, dataset.train.labels.tolist()) == (("images/02.jpg",), [1])
    assert dataset.val.names == ("images/03.jpg",) and dataset.test.labels.tolist() == [0]
    (tmp_path / "images/01.jpg").unlink()
    with pytest.raises(UserError, match=r"test\.txt names 1 photo that cannot be found, first"):
        open_dataset(f"coop:{tmp_path}")
    (tmp_path / "images_variant_train.txt").write_text("02 Concorde\n")
    with pytest.raises(UserError, match=r"'Concorde', which variants.txt does not"):
        open_dataset(f"coop:{tmp_path}")


def test_what_is_missing_is_named(imagenet, write_photo):
    write_photo(imagenet / "images/train/n09/a.png", (0, 0, 0))
    with pytest.raises(UserError, match=r"'n09', which classnames.txt does not name"):
        open_dataset(f"coop:{imagenet}")
    for path in (imagenet / "other", imagenet / "images/val"):
        path.mkdir(exist_ok=True)
    (imagenet / "images").rename(imagenet / "pictures")
    with pytest.raises(UserError, match=r"has 2 folders beside classnames.txt"):
        open_dataset(f"coop:{imagenet}")
