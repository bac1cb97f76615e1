import numpy as np

from common.pocket import world
from common.pocket.world import (
    ANONYMOUS,
    COLOURS,
    FILLS,
    NAMED,
    NAMELESS,
    RARE,
    SECOND,
    SHAPES,
    UNSEEN,
    Look,
    Species,
    is_unseen,
    sample_scene,
)


def test_every_species_is_one_of_a_kind():
    species = NAMED + RARE + SECOND + NAMELESS
    assert len(species) == 400 + 24 + 16 + 20
    assert len({each.name for each in species}) == len(species)
    assert len({each.look for each in species}) == len(species)


def test_the_choices_do_not_change_between_releases():
    # Bundled weights belong to these very names and looks.
    assert NAMED[0] == Species("blidax", Look("diamond", "banded", "red", "blue"))
    assert NAMED[399] == Species("rudwick", Look("flower", "striped", "orange", "white"))
    assert RARE[0] == Species("galshan", Look("drop", "cored", "blue", "white"))
    assert SECOND[0] == Species("makgom", Look("star", "dotted", "purple", "blue"))
    assert NAMELESS[0] == Species("pimdri", Look("star", "striped", "red", "white"))
    assert UNSEEN[0] == Species("", Look("circle", "striped", "green", "white"))


def test_nameless_families_share_shape_and_colours():
    for start in range(0, len(NAMELESS), 4):
        family = [each.look for each in NAMELESS[start : start + 4]]
        assert len({look.shape for look in family}) == 1
        assert len({frozenset((look.body, look.mark)) for look in family}) == 1
        assert len(set(family)) == 4


def test_looks_are_either_seen_or_unseen():
    assert len(ANONYMOUS) + len(UNSEEN) + len(RARE) + len(SECOND) == len(SHAPES) * len(FILLS) * len(
        COLOURS
    ) * (len(COLOURS) - 1)
    assert all(is_unseen(each.look) for each in NAMELESS)
    assert not any(is_unseen(each.look) for each in NAMED + RARE + SECOND + ANONYMOUS)
    # Every attribute of an unseen look is seen in others.
    for field in ("shape", "fill", "body", "mark"):
        seen = {getattr(each.look, field) for each in ANONYMOUS}
        assert {getattr(each.look, field) for each in UNSEEN} <= seen


def test_scenes_of_a_species_differ_in_all_but_the_species():
    generator = np.random.default_rng(0)
    scenes = [sample_scene(NAMED[0], generator) for _ in range(200)]
    for field in ("background", "size", "arrangement", "light"):
        options = getattr(world, f"{field.upper()}S")
        assert {getattr(scene, field) for scene in scenes} == set(options)
    assert len({scene.seed for scene in scenes}) == 200
