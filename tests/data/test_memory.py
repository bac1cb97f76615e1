"""Data sets of photos that a program holds."""

import numpy as np
import pytest
from PIL import Image

from common.data import Dataset, open_dataset
from common.errors import UserError
from mcti_jax import MCTI

NAMES = ("red", "blue")
PHOTOS = [np.full((6, 5, 3), 10 * number, np.uint8) for number in range(6)]
LABELS = [0, 1, 0, 1, 0, 1]


def test_photos_become_a_data_set_that_configs_name(tmp_path):
    path = tmp_path / "0.png"
    Image.fromarray(PHOTOS[0]).save(path)
    dataset = Dataset.from_arrays([path, Image.fromarray(PHOTOS[1]), *PHOTOS[2:]], LABELS, NAMES)
    assert dataset.spec.startswith("memory:photos-")
    opened = open_dataset(dataset.spec, holdout=1)
    assert opened.classnames == NAMES
    assert opened.train.labels.tolist() == [0, 0, 1, 1] and opened.test.labels.tolist() == [0, 1]
    pixels = [np.asarray(opened.train.load(row))[0, 0, 0] for row in range(4)]
    assert pixels == [0, 20, 10, 30]
    assert len(open_dataset(dataset.spec, holdout=0).train) == 6


def test_test_photos_may_be_given():
    dataset = Dataset.from_arrays(PHOTOS[:4], LABELS[:4], NAMES, test=(PHOTOS[4:], [0, 1]))
    opened = open_dataset(dataset.spec, holdout=1)
    assert len(opened.train) == 4 and opened.test.labels.tolist() == [0, 1]


def test_the_string_follows_the_content():
    first, same = (Dataset.from_arrays(PHOTOS, LABELS, NAMES) for _ in range(2))
    held = Dataset.from_arrays([Image.fromarray(photo) for photo in PHOTOS], LABELS, NAMES)
    other = Dataset.from_arrays(PHOTOS[::-1], LABELS, NAMES)
    assert first.spec == same.spec == held.spec != other.spec
    assert np.asarray(open_dataset(other.spec, holdout=0).train.load(0)).max() == 50


def test_a_config_takes_it_in_place_of_a_string():
    dataset = Dataset.from_arrays(PHOTOS, LABELS, NAMES, name="mine")
    method = MCTI(data=dataset, updates=7, generate={"steps": 3})
    assert method.config.data == dataset.spec
    assert method.config.updates == 7 and method.config.generate.steps == 3
    assert method.complete(method.config).shots == 0  # All photos of one's own.


@pytest.mark.parametrize(
    ("photos", "labels", "sentence"),
    [
        (PHOTOS, LABELS[:2], "photos are 6 and their labels 2: give a label for each"),
        (PHOTOS, [*LABELS[:5], 2], "the labels of photos run from 0 to 2, but count the 2 classes"),
        (PHOTOS, ["red"] * 6, "the labels of photos are .* they must be integers"),
        (PHOTOS, [0, [1, 1], 0, 1, 0, 1], "the labels of photos are no list: give a number"),
        ([*PHOTOS[:5], None], LABELS, r"photos\[5\] is of type NoneType"),
        ([], [], "photos is empty: give one or more"),
    ],
)
def test_what_does_not_fit_is_one_sentence(photos, labels, sentence):
    with pytest.raises(UserError, match=sentence):
        Dataset.from_arrays(photos, labels, NAMES)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ((1, 2), r"classnames\[0\] is of type int: give a text"),
        ("ab", r"classnames is a single text, not a list: write \['ab'\]"),
        (None, "classnames is of type NoneType, not a list"),
        ((), "classnames is empty"),
        (("red", "red"), r"classnames\[0\], 'red', and classnames\[1\], 'red', differ in capit"),
        (("red", "Red"), r"classnames\[0\], 'red', and classnames\[1\], 'Red', differ in capit"),
        (("caf\u00e9", "cafe\u0301"), "differ in capitals at most"),
    ],
)
def test_names_that_are_none_or_one_are_refused(names, sentence):
    with pytest.raises(UserError, match=sentence):
        Dataset.from_arrays(PHOTOS, LABELS, names)


@pytest.mark.parametrize("test", [PHOTOS, np.stack(PHOTOS), (PHOTOS, LABELS, 1), {}, 3])
def test_what_is_no_pair_to_test_on_is_refused(test):
    with pytest.raises(UserError, match="test is not a pair of photos and labels"):
        Dataset.from_arrays(PHOTOS, LABELS, NAMES, test=test)


def test_names_of_an_array_are_plain_texts():
    names = Dataset.from_arrays(PHOTOS, LABELS, np.array(NAMES)).classnames
    assert names == NAMES and {type(name) for name in names} == {str}


def test_photos_to_measure_on_alone_may_be_given():
    dataset = Dataset.from_arrays([], [], NAMES, test=(PHOTOS, LABELS))
    assert (len(dataset.train), len(dataset.test)) == (0, 6)


def test_another_program_does_not_have_it():
    with pytest.raises(UserError, match=r"memory:other is not in this program's memory"):
        open_dataset("memory:other")


def test_what_only_python_can_name_is_not_offered():
    with pytest.raises(UserError, match=r"write one of .*folder:") as caught:
        open_dataset("other")
    assert "memory" not in str(caught.value)
