from dataclasses import replace

import numpy as np
import pytest

from common.data.sources import open_dataset
from common.errors import UserError
from common.pocket.datasets import SETS, _opened, _pixels, open_pocket, pocket_descriptions
from common.pocket.world import NAMELESS, RARE


@pytest.fixture(scope="module")
def opened():
    """Every set, opened through its string."""
    return {name: open_dataset(f"pocket:{name}") for name in SETS}


@pytest.mark.parametrize("name", SETS)
def test_sets_open_through_their_string(name, opened):
    dataset = opened[name]
    classes = len(dataset.classnames)
    assert np.bincount(dataset.train.labels).tolist() == [SETS[name].train_shots] * classes
    assert np.bincount(dataset.test.labels).tolist() == [SETS[name].test_shots] * classes
    picture = dataset.train.load(0)
    assert (picture.mode, picture.size) == ("RGB", (32, 32))


def test_nameless_holds_the_held_out_species(opened):
    dataset = opened["nameless"]
    assert dataset.classnames == tuple(species.name for species in NAMELESS)
    label = int(dataset.test.labels[100])
    assert dataset.test.pictures[100].scene.species == NAMELESS[label]
    assert dataset.test.names[100] == f"{NAMELESS[label].name}/test-20"


def test_no_picture_is_in_two_places(opened):
    seeds = [
        picture.scene.seed
        for dataset in opened.values()
        for split in (dataset.train, dataset.test)
        for picture in split.pictures
    ]
    assert len(set(seeds)) == len(seeds)


def test_opening_twice_gives_the_same_set(opened):
    first = opened["second"].train
    before = first.fingerprint
    for cached in (_pixels, _opened):
        cached.cache_clear()
    second = open_pocket("second").train
    assert first is not second and before == second.fingerprint
    assert first.fingerprint != opened["rare"].train.fingerprint


def test_a_set_with_other_settings_is_opened_anew(opened, monkeypatch):
    monkeypatch.setitem(SETS, "second", replace(SETS["second"], train_shots=1, test_shots=2))
    few = open_pocket("second")
    assert len(few.train) < len(few.test) < len(opened["second"].train)


def test_the_sketch_set_differs_in_style_only(opened):
    sketch = opened["rare_sketch"]
    assert sketch.classnames == tuple(species.name for species in RARE)
    assert {picture.scene.style for picture in sketch.test.pictures} == {"sketch"}


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UserError, match=r"'pocket:cats'.*pocket:nameless, pocket:rare"):
        open_dataset("pocket:cats")


def test_descriptions_by_class(opened):
    told = pocket_descriptions("rare", count=4)
    assert tuple(told) == opened["rare"].classnames
    assert all(len(sentences) == 4 for sentences in told.values())
