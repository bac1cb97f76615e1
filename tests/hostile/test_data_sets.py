"""Labels and classes that do not fit, in split files, lists of names and tensorflow-datasets."""

import json
import sys
import types

import numpy as np
import pytest

from common.data import (
    Dataset,
    FeatureDataset,
    FeatureSplit,
    ImageSplit,
    base_new,
    few_shot,
    open_dataset,
    tfds,
)
from common.data.checks import is_text, require_labels
from common.data.coop import few_shot_from_file
from common.data.coop_layouts import read_names
from common.data.selection import hold_out
from common.errors import UserError
from common.photos.photo import ArrayPhoto
from tests.hostile.photo_files import classes, encoded, noise, photo

BLANK = ArrayPhoto(np.zeros((1, 1, 3), np.uint8))


def pictures(labels) -> ImageSplit:
    names = tuple(f"p{row}" for row in range(len(labels)))
    return ImageSplit(np.asarray(labels, np.int64), names, (BLANK,) * len(labels))


def features(labels) -> FeatureSplit:
    return FeatureSplit(np.asarray(labels, np.int64), np.ones((len(labels), 2), np.float32))


WRONG = {
    "hidden labels": ([0, -1, 1], r"run from -1 to 1, but count the 2 classes from 0 \(-1 stands"),
    "hidden labels alone": ([-1, -1], "run from -1 to -1"),
    "a class too many": ([0, 1, 2], "run from 0 to 2, .* leave out 1 row, the first is row 2"),
    "counted from 1": ([1, 2, 1], "run from 1 to 2, .*: subtract 1"),
    "a thousand million": ([10**9], "run from 1000000000"),
    "the smallest number": ([-(2**63)], "run from -92"),
}


@pytest.mark.parametrize("part", ["train", "test", "val"])
@pytest.mark.parametrize(("kind", "split"), [(Dataset, pictures), (FeatureDataset, features)])
@pytest.mark.parametrize("name", WRONG)
def test_labels_that_are_no_classes_are_refused_by_every_data_set(kind, split, part, name):
    labels, said = WRONG[name]
    parts = {"train": split([0, 1]), "test": split([0, 1]), part: split(labels)}
    with pytest.raises(UserError, match=f"the {part} labels of x {said}"):
        kind("x", ("a", "b"), **parts)


@pytest.mark.parametrize(
    "labels",
    [np.zeros(2), np.zeros((2, 1), int), np.array(["0", "1"]), np.array([True]), np.array(0)],
    ids=["floats", "a table", "text", "truth", "a single number"],
)
def test_labels_that_are_not_numbers_of_classes(labels):
    with pytest.raises(UserError, match="they must be integers, one for each row"):
        require_labels(labels, 2, "labels")


@pytest.mark.parametrize("kind", ["uint8", "int16", "uint64", ">i4"])
def test_whole_numbers_of_every_width(kind):
    found = require_labels(np.array([1, 0], kind), 2, "labels")
    assert found.dtype == np.int64 and found.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        *((name, "has no name") for name in ("", " \t", "_", "\u200e")),
        *((name, "is not text") for name in ("a\0b", "\ud800")),
    ],
)
def test_names_of_classes(name, said):
    with pytest.raises(UserError, match=said):
        Dataset("x", ("a", name), train=pictures([0]), test=pictures([1]))


def test_a_number_is_no_text():
    assert not is_text(3) and is_text("3")


@pytest.mark.parametrize("count", [1, 2, 3])
def test_halves_of_one_class_measure_nothing(count):
    labels = list(range(count))
    names = tuple(f"c{number}" for number in labels)
    dataset = Dataset("x", names, train=pictures(labels), test=pictures(labels))
    with pytest.raises(
        UserError, match=f"x has {count} class(es)?, .* base to new needs two of each"
    ):
        base_new(dataset)


@pytest.mark.parametrize("shots", [0, -1])
def test_draws_of_nothing(shots):
    with pytest.raises(UserError, match=f"shots={shots}"):
        few_shot(pictures([0, 1]), shots, 0)


def test_draws_from_nothing():
    with pytest.raises(UserError, match="no examples to learn from"):
        few_shot(pictures([]), 1, 0)


def test_seeds_up_to_two_to_the_64th():
    assert len(few_shot(pictures([0, 0, 1]), 1, 2**64 - 1)) == 2


def test_a_class_without_examples():
    with pytest.raises(UserError, match="class 'b' of here has 0 examples"):
        hold_out(pictures([0, 0]), ["a", "b"], 1, "here")


def coop(tmp_path, content):
    classes(tmp_path / "images", "a")
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / "split_x.json").write_text(text)
    return open_dataset(f"coop:{tmp_path}")


A, B = ["a/0.png", 0, "cat"], ["a/1.png", 1, "dog"]
SPLITS = {
    "a label of a thousand million": ({"train": [["a/0.png", 10**9, "cat"]]}, "with a gap at 0"),
    "a label of 2**70": ({"train": [["a/0.png", 2**70, "cat"]]}, "with a gap at 0"),
    "a hidden label": ({"train": [A], "test": [["a/1.png", -1, "cat"]]}, "which is not"),
    "a label as text": ({"train": [["a/0.png", "0", "cat"]]}, "which is not"),
    "a label as a float": ({"train": [["a/0.png", 0.0, "cat"]]}, "which is not"),
    "a label as truth": ({"train": [["a/0.png", False, "cat"]]}, "which is not"),
    "no label": ({"train": [["a/0.png", None, "cat"]]}, "which is not"),
    "objects": ({"train": [{"impath": "a/0.png", "label": 0}]}, "which is not"),
    "a text": ({"train": "a/0.png"}, "which is not"),
    "a number": ({"train": 3}, "which is not"),
    "one row, not a list of rows": ({"train": A}, "which is not"),
    "an empty list": ({"train": []}, "lists no 'train' photos: give .*it holds 'train'"),
    "COCO's layout": ({"images": [], "annotations": []}, "it holds 'images', 'annotations'"),
    "no name": (
        {"train": [["a/0.png", 0, " "], B], "test": [B]},
        "class number 0 of .* has no name",
    ),
    "two names": ({"train": [A, ["a/1.png", 0, "dog"]]}, "both 'cat' and 'dog'"),
    "a photo of 5,000 letters": ({"train": [["x" * 5000, 0, "cat"]]}, "lies neither in"),
    "a photo with a zero byte": ({"train": [A, ["a\0b", 1, "dog"]]}, "listed photos are not in"),
    "a folder for a photo": ({"train": [A, ["a", 1, "dog"]]}, "1 listed photos are not in"),
    "a device for a photo": ({"train": [A, ["/dev/zero", 1, "dog"]]}, "1 listed photos are not"),
    "a test class beyond a gap": ({"train": [A], "test": [["a/1.png", 2, "x"]]}, "a gap at 1"),
    "a key twice": ('{"train": [], "train": []}', "holds the key 'train' twice"),
    "not a number": ('{"train": [["a/0.png", NaN, "cat"]]}', "NaN"),
    "half a file": ('{"train": [["a/0.p', "cannot be read as JSON"),
    "a deep file": ("[" * 100_000, "cannot be read as JSON"),
    "a list": ([A], "JSON object"),
    "a pointer of Git-LFS": ("version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
}


@pytest.mark.parametrize("name", SPLITS)
def test_split_files(tmp_path, name):
    content, said = SPLITS[name]
    with pytest.raises(UserError, match=said):
        coop(tmp_path, content)


def test_split_files_of_machines_are_not_several(tmp_path):
    (tmp_path / "._split_x.json").write_bytes(b"\0\5\x16\7")
    (tmp_path / "__MACOSX").mkdir()
    assert len(coop(tmp_path, {"train": [A, B], "test": [A]}).train) == 2


def test_a_byte_order_mark_is_not_damage(tmp_path):
    text = "\ufeff" + json.dumps({"train": [A, B], "test": [A]})
    assert coop(tmp_path, text).classnames == ("cat", "dog")


INDICES = {
    "a negative row": ({"indices": [-1], "data": [{"impath": "p1", "label": 1}]}, "indices"),
    "a row as text": ({"indices": ["one"], "data": [{"impath": "p1", "label": 1}]}, "indices"),
    "rows missing": ({"indices": [1], "data": []}, "1 indices and 0 data"),
    "a number for the data": ({"indices": [1], "data": [7]}, "is not an object"),
    "no path": ({"indices": [1], "data": [{"label": 1}]}, "lacks train.data.0..impath"),
    "a row beyond the end": ({"indices": [9], "data": [{"impath": "p9", "label": 1}]}, "row 9"),
    "another label": ({"indices": [1], "data": [{"impath": "p1", "label": 0}]}, "another split"),
    "a list": ([], "holds no 'train' part"),
}


@pytest.mark.parametrize("name", INDICES)
def test_index_files(tmp_path, name):
    content, said = INDICES[name]
    (tmp_path / "i.json").write_text(json.dumps({"train": content}))
    with pytest.raises(UserError, match=said):
        few_shot_from_file(pictures([0, 1]), tmp_path / "i.json")


NAMES = {
    "CoOp's": "n01 tench\nn02 great white shark\n",
    "a byte order mark": "\ufeffn01 tench\nn02 great white shark\n",
    "Windows' lines": "n01 tench\r\nn02 great white shark\r\n",
    "tabs": "n01\ttench\nn02\tgreat white shark\n",
    "several spaces": "n01   tench\nn02   great white shark\n",
    "commas": "n01,tench\nn02,great white shark\n",
    "colons": "n01: tench\nn02: great white shark\n",
    "numbers between": "n01 449 tench\nn02 450 great white shark\n",
    "empty lines": "\n\nn01 tench\n\nn02 great white shark\n\n",
}


@pytest.mark.parametrize("name", NAMES)
def test_lists_of_names_in_other_peoples_formats(tmp_path, name):
    classes(tmp_path / "images" / "train", "n01", "n02")
    classes(tmp_path / "images" / "val", "n01", "n02", photos=1)
    (tmp_path / "classnames.txt").write_bytes(NAMES[name].encode())
    dataset = open_dataset(f"coop:{tmp_path}")
    assert dataset.classnames == ("tench", "great white shark")
    assert dataset.train.labels.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("lines", ["tench\ncock\n", "great white shark\ngreat grey owl\n"])
def test_names_alone_where_folders_have_them(tmp_path, lines):
    names = lines.splitlines()
    classes(tmp_path / "x", *names)
    (tmp_path / "classnames.txt").write_text(lines)
    assert open_dataset(f"coop:{tmp_path}").classnames == tuple(names)


def test_numbers_count_ids_in_their_order(tmp_path):
    classes(tmp_path / "imagenetv2", "0", "2")
    (tmp_path / "classnames.txt").write_text("n03 cock\nn01 tench\nn02 shark\n")
    dataset = open_dataset(f"coop:{tmp_path}")
    assert dataset.classnames == ("cock", "tench")
    assert dataset.test.names[0] == "imagenetv2/2/0.png"


LISTS = {
    "names alone for ids": ("tench\nshark\n", "'n01', which classnames.txt does not name: give a"),
    "an id without a name": ("n01\nn02 shark\n", "the line 'n01', which is not such as"),
    "an id twice": ("n01 tench\nn01 shark\n", "has 'n01' twice"),
    "a name twice": ("tench\ntench\n", "has 'tench' twice"),
    "an empty file": ("\n\n", "is empty: give a line"),
    "another set's ids": ("n08 tench\nn09 shark\n", "has a class 'n01'"),
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_of_names_that_do_not_fit(tmp_path, name):
    text, said = LISTS[name]
    for part in ("train", "val"):
        classes(tmp_path / "images" / part, "n01", "n02")
    (tmp_path / "classnames.txt").write_text(text)
    with pytest.raises(UserError, match=said):
        open_dataset(f"coop:{tmp_path}")


def test_names_in_another_encoding(tmp_path):
    (tmp_path / "classnames.txt").write_bytes("n01 café\n".encode("latin-1"))
    with pytest.raises(UserError, match="is not text in UTF-8"):
        read_names(tmp_path / "classnames.txt")


def test_imagenets_flat_folder_of_validation(tmp_path):
    classes(tmp_path / "images" / "train", "n01", "n02")
    photo(tmp_path / "images" / "val" / "ILSVRC2012_val_00000001.png")
    (tmp_path / "classnames.txt").write_text("n01 tench\nn02 shark\n")
    with pytest.raises(UserError, match="val holds no class folders: put the photos of each class"):
        open_dataset(f"coop:{tmp_path}")


def test_a_class_that_is_never_tested(tmp_path):
    classes(tmp_path / "images" / "train", "n01", "n02")
    classes(tmp_path / "images" / "val", "n01")
    (tmp_path / "classnames.txt").write_text("n01 tench\nn02 shark\n")
    with pytest.raises(UserError, match="val has no folder of the class 'n02'"):
        open_dataset(f"coop:{tmp_path}")


@pytest.mark.parametrize(
    ("variants", "lines", "said"),
    [
        ("A\nB\n", "01 C\n", "names 'C', which variants.txt does not"),
        ("A\nB\n", "01\n", "names '', which variants.txt does not"),
        ("A\nA\n", "01 A\n", "names a class twice"),
        ("A\nB\n", "02 A\n", "names 1 photo that cannot be found"),
        ("A\nB\n", "", "is empty"),
        ("", "01 A\n", "is empty"),
    ],
)
def test_aircraft(tmp_path, variants, lines, said):
    photo(tmp_path / "images" / "01.jpg")
    (tmp_path / "variants.txt").write_text(variants)
    for part in ("train", "val", "test"):
        (tmp_path / f"images_variant_{part}.txt").write_text(lines)
    with pytest.raises(UserError, match=said):
        open_dataset(f"coop:{tmp_path}")


class Source(list):
    """Examples, as tensorflow-datasets gives them."""

    dataset_info = types.SimpleNamespace(features={})


def stub(monkeypatch, **labels):
    """Put a library in the place of tensorflow-datasets that knows one set of two classes."""
    kinds = types.SimpleNamespace(
        Image=type("Image", (), {}), ClassLabel=type("ClassLabel", (), {"names": ["a", "b"]})
    )
    Source.dataset_info = types.SimpleNamespace(
        features={"image": kinds.Image(), "label": kinds.ClassLabel()}
    )
    content = encoded(noise())
    sources = {
        part: Source({"image": content, "label": label} for label in own)
        for part, own in labels.items()
    }
    library = types.ModuleType("tensorflow_datasets")
    library.features = kinds
    library.decode = types.SimpleNamespace(SkipDecoding=object)
    library.data_source = lambda name, **options: sources
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", library)


def test_validation_stands_in_for_an_unlabelled_test(monkeypatch, capsys):
    stub(monkeypatch, train=[0, 1], validation=[1, 0, 1], test=[-1, -1])
    dataset = open_dataset("tfds:imagenet2012")
    assert dataset.test.labels.tolist() == [1, 0, 1] and dataset.val is None
    assert "test part are not published: validation is tested on" in capsys.readouterr().out


def test_training_photos_stand_in_where_there_is_no_validation(monkeypatch, capsys):
    stub(monkeypatch, train=[0, 1, 0, 1], test=[-1, -1])
    dataset = open_dataset("tfds:x", holdout=1)
    assert (dataset.train.labels.tolist(), dataset.test.labels.tolist()) == ([0, 1], [0, 1])
    assert "the last 1 of each class is tested on" in capsys.readouterr().out


def test_a_labelled_test_stays(monkeypatch):
    stub(monkeypatch, train=[0, 1], validation=[1], test=[np.int64(1), 0])
    dataset = open_dataset("tfds:x")
    assert dataset.test.labels.tolist() == [1, 0] and dataset.val.labels.tolist() == [1]


TFDS = {
    "a test that is labelled in part": ({"train": [0, 1], "test": [0, -1]}, "run from -1 to 0"),
    "training photos without labels": ({"train": [0, -1], "test": [0]}, "run from -1 to 0"),
    "unlabelled, to be held out from": ({"train": [0, -1]}, "run from -1 to 0"),
    "a label beyond the names": ({"train": [0, 2], "test": [0]}, "run from 0 to 2"),
    "labels as floats": ({"train": [0.0, 1.0], "test": [0]}, "are float64, not integers"),
    "labels as text": ({"train": ["a", "b"], "test": [0]}, "not integers"),
    "no training part": ({"test": [0]}, "has no train part"),
}


@pytest.mark.parametrize("name", TFDS)
def test_sets_of_tensorflow_datasets(monkeypatch, name):
    parts, said = TFDS[name]
    stub(monkeypatch, **parts)
    with pytest.raises(UserError, match=said):
        tfds.open_tfds("x", 1)
