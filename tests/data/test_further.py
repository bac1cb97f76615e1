"""What is measured of a data set that is not the one that was learned from."""

import shutil

import numpy as np
import pytest

from common.data import Dataset, open_dataset
from common.data.further import open_further
from common.errors import UserError


@pytest.fixture
def photos(tmp_path, write_photo):
    """Writes `count` photos of each of two classes; those of one seed are the same ones."""

    def write(name, count, seed=0):
        for label, classname in enumerate(("cat", "dog")):
            for number in range(count):
                color = (20 * number, 100 * label, seed)
                write_photo(tmp_path / name / classname / f"{number}.png", color)
        return f"folder:{tmp_path / name}"

    return write


def train_of(spec):
    return lambda: open_dataset(spec, holdout=1).train


def test_all_of_a_folder_without_parts(photos, capsys):
    own, other = photos("own", 3), photos("other", 4, seed=9)
    found = open_further(other, train_of(own), 1)
    assert np.bincount(found.test.labels).tolist() == [4, 4] and not len(found.train)
    said = "has no test part and is one as a whole: 8 examples."
    assert capsys.readouterr().out.strip().endswith(said)


def test_what_was_learned_from_is_left_out(photos, capsys):
    own, other = photos("own", 3), photos("other", 5)  # Its first three are those of `own`.
    found = open_further(other, train_of(own), 1)
    assert found.test.names == tuple(
        f"{name}/{n}.png" for name in ("cat", "dog") for n in (2, 3, 4)
    )
    assert "one as a whole: 6 examples; left out, as learned from: 4." in capsys.readouterr().out


def test_of_the_same_folder_what_was_held_out_is_left(photos):
    own = photos("own", 3)
    found = open_further(own, train_of(own), 1)
    assert found.test.names == open_dataset(own, holdout=1).test.names


def test_where_nobody_can_tell_it_is_as_in_training(photos, tmp_path, capsys):
    own, moved = photos("own", 3), photos("moved", 3)
    shutil.rmtree(tmp_path / "own")
    found = open_further(moved, train_of(own), 1)
    assert found.test.names == ("cat/2.png", "dog/2.png")
    assert "only the last 1 of each class make one" in capsys.readouterr().out


def test_a_test_part_is_taken_as_it_is(photos, tmp_path, capsys):
    own = photos("own", 3)
    photos("parted/train", 2, seed=1)
    photos("parted/test", 4)
    found = open_further(f"folder:{tmp_path / 'parted'}", train_of(own), 1)
    assert len(found.test) == 8 and len(found.train) == 4 and not capsys.readouterr().out


def test_features(tmp_path):
    rows = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    labels = np.array([0, 0, 0, 1, 1, 1])
    for name, kept in (("own", [0, 1, 3, 4]), ("other", range(6))):
        arrays = {"features": rows[list(kept)], "labels": labels[list(kept)]}
        np.savez(tmp_path / f"{name}.npz", classnames=["cat", "dog"], **arrays)
    own, other = (f"features:{tmp_path / name}.npz" for name in ("own", "other"))
    found = open_further(other, train_of(own), 1)
    np.testing.assert_array_equal(found.test.features, rows[[1, 2, 4, 5]])


def test_photos_of_a_program():
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3)).astype(np.uint8)
    held = Dataset.from_arrays(pixels, [0, 0, 0, 1, 1, 1], ["cat", "dog"])
    found = open_further(held.spec, train_of(held.spec), 1)
    assert len(found.test) == 2


def test_what_cannot_be_opened_is_refused(photos):
    with pytest.raises(UserError, match="does not exist"):
        open_further("folder:/nowhere", train_of(photos("own", 2)), 1)
