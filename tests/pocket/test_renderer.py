from dataclasses import replace

import numpy as np
import pytest

from common.pocket import renderer
from common.pocket.renderer import RGB, SIZE, render
from common.pocket.world import (
    BACKGROUNDS,
    FILLS,
    SHAPES,
    Look,
    Scene,
    Species,
)

SCENE = Scene(Species("", Look("circle", "cored", "red", "white")), size="large", seed=3)


def with_look(**changes) -> Scene:
    return replace(SCENE, species=Species("", replace(SCENE.species.look, **changes)))


def test_tables_cover_the_world():
    assert tuple(renderer.SHAPES) == SHAPES
    assert tuple(renderer.FILLS) == FILLS
    assert tuple(renderer.BACKGROUNDS) == BACKGROUNDS


def test_the_same_scene_gives_the_same_picture():
    pictures = render([SCENE, SCENE, replace(SCENE, seed=4)])
    assert pictures.shape == (3, SIZE, SIZE, 3)
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert np.abs(pictures[0].astype(int) - pictures[2]).mean() > 3
    assert render([]).shape == (0, SIZE, SIZE, 3)


@pytest.mark.parametrize(
    "other",
    [with_look(shape=shape) for shape in SHAPES[1:]]
    + [with_look(fill=fill) for fill in FILLS if fill != "cored"]
    + [with_look(body=colour) for colour in RGB if colour not in ("red", "white")]
    + [with_look(mark=colour) for colour in RGB if colour not in ("red", "white")]
    + [with_look(body="white", mark="red")]
    + [replace(SCENE, background=each) for each in BACKGROUNDS if each != SCENE.background]
    + [replace(SCENE, size="small"), replace(SCENE, light="dark")]
    + [replace(SCENE, arrangement=each) for each in ("pair", "row")]
    + [replace(SCENE, style=each) for each in renderer.STYLES if each != SCENE.style],
    ids=str,
)
def test_every_attribute_shows(other):
    first, second = render([SCENE, other]).astype(int)
    # At least ten pixels change by more than a shade.
    assert (np.abs(first - second).max(axis=-1) > 40).sum() >= 10


def test_body_and_mark_have_their_colours():
    middle = replace(SCENE, background="snow", seed=0)
    picture = render([middle])[0] / 255
    saturated = picture[(picture[..., 0] > 0.7) & (picture[..., 1] < 0.3)]
    assert len(saturated) > 100  # red body
    _, _, covered = renderer._coverage(middle, np.random.default_rng(0))[0].nonzero()
    assert len(covered) > 300


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("shape", [s for s in SHAPES if s not in ("crescent", "fish")])
def test_a_mirror_leaves_the_class_alone(shape, fill):
    x, y = renderer._FINE
    level = renderer.SHAPES[shape](x, y)
    np.testing.assert_allclose(level, renderer.SHAPES[shape](-x, y), atol=1e-5)
    marks = renderer.FILLS[fill](x, y, level)
    assert np.mean(marks == marks[:, ::-1]) > 0.97
    inside = level < 0
    assert 0.02 < marks[inside].mean() < 0.98, "the mark colour is visible, and so is the body"
