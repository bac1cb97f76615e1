import numpy as np
import pytest

from common.data import FeatureDataset, open_dataset
from common.errors import UserError

WHOLE = {
    "features": np.arange(12, dtype=np.float16).reshape(6, 2),
    "labels": np.asarray([0, 0, 0, 1, 1, 1], np.int16),
    "classnames": np.asarray(["cat", "big dog"]),
}
PARTS = {
    "classnames": WHOLE["classnames"],
    "train_features": WHOLE["features"],
    "train_labels": WHOLE["labels"],
    "test_features": WHOLE["features"][::3],
    "test_labels": WHOLE["labels"][::3],
}


def write(tmp_path, arrays) -> str:
    np.savez(tmp_path / "clip.npz", **arrays)
    return f"features:{tmp_path / 'clip.npz'}"


def test_the_last_rows_of_each_class_are_held_out(tmp_path):
    dataset = open_dataset(write(tmp_path, WHOLE), holdout=1)

    assert isinstance(dataset, FeatureDataset)
    assert (dataset.name, dataset.classnames) == ("clip", ("cat", "big dog"))
    assert dataset.train.labels.tolist() == [0, 0, 1, 1]
    assert dataset.train.features.tolist() == [[0, 1], [2, 3], [6, 7], [8, 9]]
    assert dataset.test.features.tolist() == [[4, 5], [10, 11]]
    assert dataset.test.labels.tolist() == [0, 1]


def test_a_file_may_bring_its_own_parts(tmp_path):
    dataset = open_dataset(write(tmp_path, PARTS))

    assert (len(dataset.train), len(dataset.test), dataset.val) == (6, 2, None)
    with_val = {"val_features": WHOLE["features"], "val_labels": WHOLE["labels"]}
    assert len(open_dataset(write(tmp_path, PARTS | with_val)).val) == 6


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"labels": None}, r"no array 'labels' \(it holds classnames, features\)"),
        ({"classnames": None}, "no array 'classnames'"),
        ({"labels": np.asarray([1, 1, 1, 2, 2, 2])}, "run from 1 to 2, but count the 2"),
        ({"labels": np.asarray([-1, 0, 0, 1, 1, 1])}, "run from -1"),
        ({"labels": np.zeros(6)}, "must be integers"),
        ({"labels": np.zeros(5, int)}, "do not fit"),
        ({"features": np.zeros((6, 2, 1), np.float32)}, "do not fit"),
        ({"features": np.full((6, 2), np.nan)}, "finite"),
        ({"features": np.zeros((6, 2), int)}, "floating-point"),
        ({"labels": np.asarray([0, 0, 0, 0, 0, 1])}, "class 'big dog' of .* has 1 example"),
        ({"labels": np.asarray([None] * 6)}, "cannot be read"),
    ],
)
def test_arrays_that_do_not_fit_are_named(tmp_path, changed, message: str):
    arrays = {name: a for name, a in (WHOLE | changed).items() if a is not None}

    with pytest.raises(UserError, match=message):
        open_dataset(write(tmp_path, arrays))


def test_files_that_are_no_archive(tmp_path):
    file = tmp_path / "clip.npz"
    with pytest.raises(UserError, match="cannot be read"):
        open_dataset(f"features:{file}")
    for content in (b"", b"text", b"PK\x03\x04broken"):
        file.write_bytes(content)
        with pytest.raises(UserError, match="cannot be read"):
            open_dataset(f"features:{file}")
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(UserError, match="cannot be read"):
        open_dataset(f"features:{tmp_path / 'one.npy'}")
