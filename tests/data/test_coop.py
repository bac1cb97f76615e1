import gzip
import json

import numpy as np
import pytest

from common.data import ImageSplit, open_dataset
from common.data.coop import few_shot_from_file
from common.errors import UserError
from common.photos.photo import ArrayPhoto

SPLIT = {
    "train": [["b/2.png", 1, "big dog"], ["a/1.png", 0, "cat"], ["b/1.png", 1, "big dog"]],
    "val": [["a/3.png", 0, "cat"]],
    "test": [["a/2.png", 0, "cat"], ["b/3.png", 1, "big dog"]],
}


def write_set(root, write_photo, split=SPLIT, images="images", name="split_zhou_X.json"):
    for rows in split.values():
        for path, label, _ in rows:
            write_photo(root / images / path, (label, int(path[-5]), 0))
    (root / name).write_text(json.dumps(split))
    return f"coop:{root}"


@pytest.mark.parametrize("images", ["", "images"])
def test_rows_keep_the_order_of_the_split_file(tmp_path, write_photo, images: str):
    dataset = open_dataset(write_set(tmp_path / "x", write_photo, images=images))

    assert dataset.name == "x"
    assert dataset.classnames == ("cat", "big dog")
    assert dataset.train.names == ("b/2.png", "a/1.png", "b/1.png")
    assert dataset.train.labels.tolist() == [1, 0, 1]
    assert dataset.val.names == ("a/3.png",)
    assert dataset.test.labels.tolist() == [0, 1]
    assert dataset.test.load(1).getpixel((0, 0)) == (1, 3, 0)


def test_the_split_file_itself_can_be_named(tmp_path, write_photo):
    spec = write_set(tmp_path, write_photo)
    write_set(tmp_path, write_photo, {"train": SPLIT["train"][:2]}, name="split_small.json")

    with pytest.raises(UserError, match=r"several split files \(split_small.json, split_zhou_X"):
        open_dataset(spec)
    assert len(open_dataset(f"{spec}/split_zhou_X.json").train) == 3


def test_gzipped_split_files(tmp_path, write_photo):
    spec = write_set(tmp_path, write_photo)
    file = tmp_path / "split_zhou_X.json"
    (tmp_path / "split_zhou_X.json.gz").write_bytes(gzip.compress(file.read_bytes()))
    file.unlink()

    assert len(open_dataset(spec).train) == 3


def test_without_val_and_test(tmp_path, write_photo):
    split = {"train": [*SPLIT["train"], *SPLIT["test"]]}

    dataset = open_dataset(write_set(tmp_path, write_photo, split), holdout=1)

    assert dataset.val is None
    assert dataset.test.names == ("a/2.png", "b/3.png")
    assert set(dataset.train.names) == {"a/1.png", "b/1.png", "b/2.png"}


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"test": SPLIT["test"]}, "lists no 'train' photos"),
        ({"train": [["a/1.png", 0]]}, "which is not"),
        ({"train": [["a/1.png", "0", "cat"]]}, "which is not"),
        ({"train": [["a/1.png", -1, "cat"]]}, "which is not"),
        ({"train": [["a/1.png", 1, "cat"]]}, "with a gap at 0"),
        ({"train": [["a/1.png", 0, "cat"], ["a/2.png", 0, "dog"]]}, "both 'cat' and 'dog'"),
        (
            {"train": [["a/1.png", 0, "cat"], ["a/9.png", 0, "cat"]]},
            "1 listed photos are not in",
        ),
        ({"train": [["z/1.png", 0, "cat"]]}, "lies neither in"),
        ([], "holds no JSON object"),
    ],
)
def test_malformed_split_files(tmp_path, write_photo, split, message: str):
    spec = write_set(tmp_path, write_photo)
    (tmp_path / "split_zhou_X.json").write_text(json.dumps(split))

    with pytest.raises(UserError, match=message):
        open_dataset(spec)


def test_missing_and_damaged_split_files(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        open_dataset(f"coop:{tmp_path / 'gone'}")
    with pytest.raises(UserError, match="holds no split"):
        open_dataset(f"coop:{tmp_path}")
    (tmp_path / "split.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        open_dataset(f"coop:{tmp_path}")


def index_file(path, indices: list[int], names: list[str], labels: list[int]):
    data = [
        {"impath": f"./data/x/{name}", "label": label, "classname": "any"}
        for name, label in zip(names, labels, strict=True)
    ]
    path.write_text(json.dumps({"train": {"indices": indices, "data": data}}))
    return path


def test_few_shot_index_files(tmp_path, write_photo):
    train = open_dataset(write_set(tmp_path, write_photo)).train
    file = tmp_path / "shot_1-seed_1.json"

    index_file(file, [1, 0], ["a/1.png", "b/2.png"], [0, 1])
    assert few_shot_from_file(train, file).names == ("a/1.png", "b/2.png")

    with pytest.raises(UserError, match="no 'val' part"):
        few_shot_from_file(train, file, "val")
    index_file(file, [1, 0], ["b/2.png", "a/1.png"], [1, 0])
    with pytest.raises(UserError, match="made for another split"):
        few_shot_from_file(train, file)
    index_file(file, [1], ["a/1.png"], [1])
    with pytest.raises(UserError, match="made for another split"):
        few_shot_from_file(train, file)
    index_file(file, [3], ["a/1.png"], [0])
    with pytest.raises(UserError, match="calls row 3"):
        few_shot_from_file(train, file)


def test_real_photos_in_coop_layout(shared_data):
    dataset = open_dataset(f"coop:{shared_data / 'caltech20'}")

    assert len(dataset.classnames) == 20
    assert dataset.classnames[8] == "electric_guitar"
    assert np.bincount(dataset.train.labels).tolist() == [16] * 20
    assert np.bincount(dataset.test.labels).tolist() == [10] * 20
    assert not set(dataset.train.names) & set(dataset.test.names)
    assert all(
        name.startswith(dataset.classnames[label])
        for name, label in zip(dataset.test.names, dataset.test.labels, strict=True)
    )


@pytest.mark.parametrize("shots", [1, 4, 16])
def test_published_draws(shared_data, shots: int):
    folder = shared_data / "coop_splits"
    split = json.loads(gzip.decompress((folder / "split_zhou_Caltech101.json.gz").read_bytes()))
    blank = ArrayPhoto(np.zeros((1, 1, 3), np.uint8))
    train = ImageSplit(
        labels=np.asarray([label for _, label, _ in split["train"]]),
        names=tuple(path for path, _, _ in split["train"]),
        pictures=(blank,) * len(split["train"]),
    )

    file = folder / "indices" / "caltech101" / f"shot_{shots}-seed_1.json.gz"
    chosen = few_shot_from_file(train, file)

    assert np.bincount(chosen.labels).tolist() == [shots] * 100
    assert chosen.names[0] == "Faces/image_0201.jpg"
