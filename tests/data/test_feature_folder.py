"""Folders of features, a file a picture."""

import numpy as np
import pytest

from common.data import FeatureSplit, open_dataset
from common.data.feature_folder import MIRRORED
from common.errors import UserError
from mcti_jax.formats.torch_archive import torch_archive

COUNTS = {"ann": 3, "bob": 2}


def feature(seed, shape=(1, 4)):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def write(root, counts=COUNTS, mirrors=True):
    """Features by class and number, of the photos and of their mirrors."""
    written = {}
    for number, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True, exist_ok=True)
        for place in range(count):
            for end in ("", MIRRORED)[: 1 + mirrors]:
                value = feature((number, place, len(end)))
                (root / name / f"{place}{end}.pt").write_bytes(torch_archive(value))
                written[name, place, bool(end)] = value[0]
    return written


@pytest.mark.parametrize("mirrors", [True, False])
def test_pictures_and_their_mirrors_stand_at_one_place(tmp_path, mirrors):
    written = write(tmp_path / "bank", mirrors=mirrors)
    dataset = open_dataset(f"features:{tmp_path}/bank", holdout=1)
    assert (dataset.name, dataset.classnames) == ("bank", ("ann", "bob"))
    assert dataset.train.labels.tolist() == [0, 0, 1] and dataset.test.labels.tolist() == [0, 1]
    for split, places in (
        (dataset.train, [("ann", 0), ("ann", 1), ("bob", 0)]),
        (dataset.test, [("ann", 2), ("bob", 1)]),
    ):
        np.testing.assert_array_equal(split.features, [written[*place, False] for place in places])
        if mirrors:
            expected = [written[*place, True] for place in places]
            np.testing.assert_array_equal(split.mirrored, expected)
            np.testing.assert_array_equal(split.take([1]).mirrored, expected[1:2])
    assert mirrors or dataset.train.mirrored is None


def test_parts_of_their_own(tmp_path):
    write(tmp_path / "train")
    write(tmp_path / "test", {"ann": 1, "bob": 5}, mirrors=False)
    dataset = open_dataset(f"features:{tmp_path}")
    assert len(dataset.train) == 5 and dataset.test.labels.tolist() == [0, 1, 1, 1, 1, 1]
    (tmp_path / "test/carl").mkdir()
    with pytest.raises(UserError, match="train lacks 'carl', and both parts must have the same"):
        open_dataset(f"features:{tmp_path}")
    for name in ("carl", "dora"):
        (tmp_path / "train" / name).mkdir()
    with pytest.raises(UserError, match="test lacks 'dora', and both parts must have the same"):
        open_dataset(f"features:{tmp_path}")


def test_mirrors_count_for_the_fingerprint():
    arrays = np.array([0, 1]), feature(0, (2, 4)), feature(1, (2, 4))
    whole, without = FeatureSplit(*arrays), FeatureSplit(*arrays[:2])
    assert whole.fingerprint != without.fingerprint
    arrays[2][1, 3] += 1
    assert FeatureSplit(*arrays).fingerprint != whole.fingerprint


def test_an_npz_may_hold_mirrors(tmp_path):
    arrays = {"labels": np.array([0, 0]), "classnames": np.array(["ann"])}
    arrays |= {"features": feature(0, (2, 4)), "mirrored": feature(1, (2, 4))}
    np.savez(tmp_path / "bank.npz", **arrays)
    dataset = open_dataset(f"features:{tmp_path}/bank.npz", holdout=1)
    np.testing.assert_array_equal(dataset.train.mirrored, arrays["mirrored"][:1])
    np.savez(tmp_path / "bank.npz", **arrays | {"mirrored": feature(1, (1, 4))})
    with pytest.raises(UserError, match="must have the same shape"):
        open_dataset(f"features:{tmp_path}/bank.npz", holdout=1)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("ann/0.pt", feature(0, (2, 2)), "is not one feature"),
        ("ann/0.pt", {"a": feature(0)}, "is not one feature"),
        ("bob/0.pt", feature(0, (1, 5)), "holds 5 numbers and .* 4: make all features"),
        ("ann/0.pt", feature(0) * np.nan, "must be finite"),
        ("ann/7_flip.pt", feature(0), "mirrors without their pictures: '7'"),
        ("ann/7.pt", feature(0), "has 1 picture without a mirror, first .*7.pt: add"),
        ("carl/note.txt", feature(0), "carl holds no features"),
    ],
)
def test_what_is_not_a_bank(tmp_path, name, value, sentence):
    write(tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(torch_archive(value))
    with pytest.raises(UserError, match=sentence):
        open_dataset(f"features:{tmp_path}", holdout=1)
