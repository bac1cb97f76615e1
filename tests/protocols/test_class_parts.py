"""Which classes compete with each other, and on which parts something can be measured."""

import numpy as np
import pytest

from common.data import FeatureDataset, FeatureSplit
from common.errors import UserError
from common.protocols.class_parts import class_parts, dataset_parts
from common.protocols.measured import fault, idle_line, measurable, require_distinct, target_prefix
from common.protocols.table import (
    ALL_CLASSES,
    BASE_TO_NEW,
    PROTOCOLS,
    TARGETS,
    published_data,
    usual_protocol,
)


def dataset(test, classes=5, name="made/up"):
    labels = np.array(test, int)
    split = FeatureSplit(labels, np.ones((len(labels), 3), np.float32))
    return FeatureDataset(name, tuple(f"class {k}" for k in range(classes)), split, split)


def test_rows_and_data_sets_have_the_same_halves():
    rows, parts = class_parts("base", 5), dataset_parts(dataset(range(5)), BASE_TO_NEW)
    assert {prefix: list(x) for prefix, x in rows.items()} == {"base/": [0, 1, 2], "new/": [3, 4]}
    names = {prefix: tuple(f"class {k}" for k in x) for prefix, x in rows.items()}
    assert {prefix: x.classnames for prefix, x in parts.items()} == names


@pytest.mark.parametrize("protocol", [x for x in PROTOCOLS if x != BASE_TO_NEW])
def test_other_protocols_take_the_data_set_as_it_is(protocol):
    whole = dataset(range(5))
    assert dataset_parts(whole, protocol) == {"": whole}


def test_halves_of_one_class_are_for_rows_alone():
    assert len(class_parts("base", 3)["new/"]) == 1
    with pytest.raises(UserError, match="base to new needs two of each"):
        dataset_parts(dataset(range(3), classes=3), BASE_TO_NEW)


def test_faults():
    assert fault(2, 1) == "" and fault(0, 4) == "has no class to choose from"
    assert fault(1, 4) == "has 1 class to choose from"
    assert fault(2, 0, "pictures") == "has no test pictures"
    assert idle_line("d", "new/", "has x") == "d (new classes) has x: nothing is measured on it."
    assert idle_line("d", "", "has x") == "d has x: nothing is measured on it."


def test_a_target_over_the_classes_that_are_shown():
    target = dataset([1, 1, 4])
    assert (
        target_prefix(target) == "made-up/" and target_prefix(dataset([], name="pocket:a")) == "a/"
    )
    assert measurable("x", target, shown_alone=False) is target
    shown = measurable("x", target, shown_alone=True)
    assert shown.classnames == ("class 1", "class 4") and shown.test.labels.tolist() == [0, 0, 1]
    with pytest.raises(UserError, match="x has 1 class to choose from, so nothing can be measured"):
        measurable("x", dataset([2, 2]), shown_alone=True)


def test_further_data_sets_have_names_of_their_own():
    require_distinct([("folder:a/photos", "photos/"), ("folder:b/other", "other/")])
    with pytest.raises(UserError, match="folder:b/photos and folder:a/photos would both be"):
        require_distinct([("folder:a/photos", "photos/"), ("folder:b/photos", "photos/")])
    with pytest.raises(UserError, match="folder:new and a half of the run's own classes"):
        require_distinct([("folder:new", "new/")])


def test_what_auto_stands_for():
    assert usual_protocol("pocket:rare", "") == usual_protocol("folder:x", "dtd") == BASE_TO_NEW
    assert usual_protocol("folder:x", "") == ALL_CLASSES


@pytest.mark.parametrize(("protocol", "count"), [*zip(PROTOCOLS, (0, 0, 10, 4), strict=True)])
def test_published_data(protocol, count):
    found = published_data("imagenet", protocol)
    assert found["data"] == "coop:data/imagenet" and len(TARGETS[protocol]) == count
    assert found["targets"] == tuple(f"coop:data/{folder}" for folder in TARGETS[protocol])
