"""Files of features: NaN, rows of zeros, shapes, types and numbers that do not fit."""

import os

import numpy as np
import pytest

from aape_jax.classification.bank import read_bank
from aape_jax.retrieval.features import open_retrieval_set
from common.data import open_dataset
from common.data.checks import require_features, require_names
from common.errors import UserError

ROWS = np.arange(1, 25, dtype=np.float32).reshape(8, 3)
LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 1])
NAMES = np.array(["cat", "dog"])
CLASSES = {"features": ROWS, "labels": LABELS, "classnames": NAMES}
PROMPTS = {
    "classnames": NAMES,
    "class_features": ROWS[:2],
    "prompt_features": ROWS,
    "prompt_labels": LABELS,
}
CAPTIONS = {
    f"{part}_{name}": array
    for part in ("train", "test")
    for name, array in (("features", ROWS[:2]), ("captions", ROWS), ("owner", LABELS))
}
OPENERS = {
    "classes": (CLASSES, lambda file: open_dataset(f"features:{file}")),
    "prompts": (PROMPTS, lambda file: read_bank(file, ("cat", "dog"))),
    "captions": (CAPTIONS, lambda file: open_retrieval_set(f"features:{file}", "")),
}


def opened(tmp_path, kind, **changed):
    arrays, opener = OPENERS[kind]
    file = tmp_path / "x.npz"
    np.savez(file, **{k: v for k, v in (arrays | changed).items() if v is not None})
    return opener(file)


@pytest.mark.parametrize("kind", OPENERS)
def test_sound_files_open(tmp_path, kind):
    opened(tmp_path, kind)


def with_row(value, dtype=np.float32) -> np.ndarray:
    rows = ROWS.astype(dtype)
    rows[5] = value
    return rows


ROWS_THAT_DO_NOT_FIT = {
    "one NaN": (with_row([1, np.nan, 1]), "row 5 holds NaN or infinity"),
    "infinity": (with_row(-np.inf), "row 5 holds NaN or infinity"),
    "infinity in half precision": (with_row(np.inf, np.float16), "row 5 holds NaN"),
    "a row of zeros": (with_row(0), "row 5 of .* has the length 0.0"),
    "a row of minus zeros": (with_row(-0.0), "row 5 of .* has the length 0.0"),
    "a row that is too short to measure": (with_row(1e-30), "row 5 of .* has the length 0.0"),
    "a row that is too long to measure": (with_row(3e38), "row 5 of .* has the length inf"),
    "whole numbers": (ROWS.astype(int), "must be floating-point"),
    "complex numbers": (ROWS.astype(complex), "must be floating-point"),
    "long floating-point numbers": (ROWS.astype(np.longdouble), "must be floating-point"),
    "truth": (ROWS > 3, "must be floating-point"),
    "text": (ROWS.astype(str), "must be floating-point"),
    "no width": (ROWS[:, :0], "must be .N,D.|do not fit"),
    "three axes": (ROWS[..., None], "do not fit|must be .N,D."),
    "one axis": (ROWS[:, 0], "do not fit|must be"),
    "a single number": (np.float32(1), "do not fit|must be"),
}
FEATURES = {"classes": "features", "prompts": "prompt_features", "captions": "test_captions"}


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("kind", OPENERS)
@pytest.mark.parametrize("name", ROWS_THAT_DO_NOT_FIT)
def test_rows_without_a_direction(tmp_path, kind, name):
    rows, said = ROWS_THAT_DO_NOT_FIT[name]
    with pytest.raises(UserError, match=said):
        opened(tmp_path, kind, **{FEATURES[kind]: rows})


@pytest.mark.parametrize(
    ("kind", "array"), [("captions", "train_features"), ("prompts", "class_features")]
)
def test_every_array_is_looked_at(tmp_path, kind, array):
    with pytest.raises(UserError, match=f"row 1 of {array} of .* has the length 0"):
        opened(tmp_path, kind, **{array: ROWS[:2] * [[1], [0]]})


NUMBERS_THAT_DO_NOT_FIT = {
    "floats": (LABELS.astype(float), "must be integers"),
    "truth": (LABELS > 0, "must be integers"),
    "text": (LABELS.astype(str), "must be integers"),
    "a negative number": (LABELS - 1, "run from -1 to 0"),
    "one too many": (LABELS * 2, "run from 0 to 2"),
    "a thousand million": (LABELS * 10**9, "run from 0 to 1000000000"),
    "the largest number": (LABELS.astype(np.uint64) * (2**64 - 1), "run from 0 to 18446744073709"),
    "counted from 1": (LABELS + 1, "subtract 1"),
    "too few": (LABELS[:5], "do not fit|must name an image"),
    "none": (LABELS[:0], "do not fit|must name an image"),
    "a table": (LABELS[:, None], "do not fit|must name an image"),
}
LABELLED = {"classes": "labels", "prompts": "prompt_labels", "captions": "train_owner"}


@pytest.mark.parametrize("kind", OPENERS)
@pytest.mark.parametrize("name", NUMBERS_THAT_DO_NOT_FIT)
def test_numbers_that_are_nobodys(tmp_path, kind, name):
    numbers, said = NUMBERS_THAT_DO_NOT_FIT[name]
    with pytest.raises(UserError, match=said):
        opened(tmp_path, kind, **{LABELLED[kind]: numbers})


@pytest.mark.parametrize("kind", ["classes", "prompts"])
@pytest.mark.parametrize(
    "names",
    [NAMES.astype("S"), NAMES[:, None], np.array([1, 2]), np.array("cat"), np.zeros(2)],
    ids=["bytes", "a table", "numbers", "one text", "floats"],
)
def test_names_that_are_not_texts(tmp_path, kind, names):
    with pytest.raises(UserError, match=r"classnames of .* it must be a list of texts"):
        opened(tmp_path, kind, classnames=names)


def test_names_that_are_empty(tmp_path):
    with pytest.raises(UserError, match="class number 1 of x has no name"):
        opened(tmp_path, "classes", classnames=np.array(["cat", ""]))


def test_an_image_without_captions(tmp_path):
    with pytest.raises(UserError, match="image number 1 has no caption"):
        opened(tmp_path, "captions", test_owner=LABELS * 0)


def test_no_images_at_all(tmp_path):
    empty = {"test_features": ROWS[:0], "test_captions": ROWS[:0], "test_owner": LABELS[:0]}
    with pytest.raises(UserError, match="there are no images with captions"):
        opened(tmp_path, "captions", **empty)


@pytest.mark.parametrize(
    ("kind", "array"),
    [*((kind, name) for kind, (arrays, _) in OPENERS.items() for name in arrays)],
)
def test_arrays_that_are_absent_are_named(tmp_path, kind, array):
    if array in ("prompt_features", "prompt_labels"):
        said = "do not fit"
    else:
        said = f"holds no array '{array}'"
    with pytest.raises(UserError, match=said):
        opened(tmp_path, kind, **{array: None})


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4"])
def test_floating_point_numbers_of_every_width(dtype):
    found = require_features(ROWS.astype(dtype), "x")
    assert found.dtype.isnative and np.array_equal(found, ROWS)


def test_large_half_precision_rows_do_not_overflow():
    rows = np.full((2, 700), 60_000, np.float16)
    assert require_features(rows, "x") is rows


def test_names():
    assert require_names(NAMES, "x") == ("cat", "dog")


@pytest.mark.parametrize("kind", OPENERS)
@pytest.mark.parametrize("name", ["absent", "a pipe", "a folder", "text", "zeros", "objects"])
def test_what_is_not_an_archive(tmp_path, kind, name):
    file = tmp_path / "x.npz"
    make = {
        "absent": lambda: None,
        "a pipe": lambda: os.mkfifo(file),
        "a folder": file.mkdir,
        "text": lambda: file.write_text("features"),
        "zeros": lambda: file.write_bytes(bytes(300)),
        "objects": lambda: np.savez(file, classnames=np.array([{}, None])),
    }
    make[name]()
    unread = r"the feature file .*x\.npz' cannot be read"
    is_bank = (name, kind) == ("a folder", "classes")  # A folder may hold features, too.
    with pytest.raises(UserError, match="is empty: it needs" if is_bank else unread):
        OPENERS[kind][1](file)
