import numpy as np
import pytest

from common.data.dataset import FeatureDataset
from common.data.selection import (
    base_new,
    class_counts,
    far_apart,
    hold_out,
    select_classes,
)
from common.data.splits import FeatureSplit, ImageSplit
from common.errors import UserError
from common.photos.photo import ArrayPhoto


def pictures(labels: list[int]) -> ImageSplit:
    return ImageSplit(
        labels=np.asarray(labels),
        names=tuple(f"p{row}" for row in range(len(labels))),
        pictures=tuple(ArrayPhoto(np.full((2, 2, 3), row, np.uint8)) for row in range(len(labels))),
    )


def features(labels: list[int]) -> FeatureSplit:
    values = np.arange(2.0 * len(labels)).reshape(-1, 2)
    return FeatureSplit(labels=np.asarray(labels), features=values)


def test_take_keeps_labels_names_and_pictures_together():
    taken = pictures([5, 6, 7]).take([2, 0])

    assert taken.labels.tolist() == [7, 5]
    assert taken.names == ("p2", "p0")
    assert [taken.load(row).getpixel((0, 0))[0] for row in range(len(taken))] == [2, 0]


def test_an_empty_split_can_be_taken():
    assert len(pictures([0, 1]).take([])) == 0
    assert len(features([0, 1]).take([])) == 0


def test_lists_of_different_lengths_are_rejected():
    with pytest.raises(ValueError, match="2 labels, 1 names and 0 pictures"):
        ImageSplit(labels=np.asarray([0, 1]), names=("a",), pictures=())


@pytest.mark.parametrize("make", [pictures, features])
def test_fingerprint_follows_content_labels_and_order(make):
    split = make([0, 0, 1])

    assert split.fingerprint == make([0, 0, 1]).fingerprint
    assert len(split.fingerprint) == 16
    others = [make([0, 1, 1]), split.take([1, 0, 2]), split.take([0, 1])]
    assert len({split.fingerprint, *(other.fingerprint for other in others)}) == 4


def test_fingerprint_sees_one_changed_byte(tmp_path, write_photo):
    from common.photos.photo import photo_file

    file = write_photo(tmp_path / "a.png")
    split = ImageSplit(np.asarray([0]), ("a.png",), (photo_file(file),))
    before = split.fingerprint
    write_photo(file, color=(10, 20, 31))

    again = ImageSplit(split.labels, split.names, (photo_file(file),))
    assert again.fingerprint != before


def test_hold_out_takes_the_last_of_each_class():
    train, test = hold_out(pictures([0, 1, 0, 1, 0]), ["a", "b"], 1, "here")

    assert train.names == ("p0", "p2", "p1")
    assert train.labels.tolist() == [0, 0, 1]
    assert test.names == ("p4", "p3")
    assert test.labels.tolist() == [0, 1]


def test_hold_out_of_nothing_leaves_an_empty_test():
    train, test = hold_out(pictures([0, 1]), ["a", "b"], 0, "here")

    assert (len(train), len(test)) == (2, 0)


def test_hold_out_names_the_class_that_is_too_small():
    with pytest.raises(UserError, match="class 'b' of here has 1 example, too few to hold out"):
        hold_out(pictures([0, 0, 1]), ["a", "b"], 1, "here")
    with pytest.raises(UserError, match="holdout=-1 is negative"):
        hold_out(pictures([0, 0, 1]), ["a", "b"], -1, "here")


def test_class_counts_include_absent_classes():
    assert class_counts(np.asarray([0, 2, 2]), 4).tolist() == [1, 0, 2, 0]


def make_dataset(classes: int) -> FeatureDataset:
    labels = list(range(classes))[::-1]
    return FeatureDataset(
        name="set",
        classnames=tuple(f"c{label}" for label in range(classes)),
        train=features(labels),
        test=features(labels * 2),
    )


def test_select_classes_renumbers_in_the_given_order():
    chosen = select_classes(make_dataset(4), [3, 1])

    assert chosen.classnames == ("c3", "c1")
    assert chosen.train.labels.tolist() == [0, 1]
    assert chosen.train.features[:, 0].tolist() == [0.0, 4.0]
    assert chosen.test.labels.tolist() == [0, 1, 0, 1]
    assert chosen.val is None


@pytest.mark.parametrize(("classes", "base_classes"), [(4, 2), (5, 3), (101, 51)])
def test_base_classes_are_the_first_half_rounded_up(classes: int, base_classes: int):
    dataset = make_dataset(classes)

    base, new = base_new(dataset)

    assert base.classnames == dataset.classnames[:base_classes]
    assert new.classnames == dataset.classnames[base_classes:]
    assert sorted(new.train.labels) == list(range(classes - base_classes))
    assert len(base.test) + len(new.test) == len(dataset.test)


@pytest.mark.parametrize(
    ("wanted", "count", "numbers"), [(3, 12, [2, 6, 10]), (6, 20, [1, 5, 8, 11, 15, 18])]
)
def test_classes_that_are_far_apart(wanted, count, numbers):
    assert far_apart(wanted, count) == numbers
    assert far_apart(count + wanted, count) == far_apart(count, count) == list(range(count))
    assert far_apart(0, count) == []
