"""The bundled CLIP and Stable Diffusion: their card, and what it promises of templates."""

import numpy as np
import pytest

from common import load_clip
from common.pocket.renderer import render
from common.pocket.world import NAMED, RARE, SECOND
from common.weights.resolve import POCKET
from tests.pocket.cards import figures_on_card
from tools.pocket.measures import accuracy_by_form, photos_of, picture_features

pytestmark = pytest.mark.usefixtures("quick_compiler")
PICTURES = 480


@pytest.fixture(scope="module")
def clip():
    return load_clip("pocket")


@pytest.mark.parametrize(
    ("species", "apart"),
    [(NAMED[:24], 0.02), (RARE, 0.02), (SECOND, 0.03)],
    ids=["named", "rare", "second"],
)
def test_the_template_makes_little_difference(clip, species, apart):
    scenes = photos_of(species, PICTURES, seed=5)
    pictures = picture_features(clip, render(scenes))
    labels = np.array([species.index(scene.species) for scene in scenes])
    found = accuracy_by_form(clip, species, pictures, labels)
    assert max(found.values()) - min(found.values()) < apart, found
    assert abs(found["a photo of a {}"] - found["a photo of a {}."]) < 0.01, found


def test_the_figures_are_beside_them():
    assert figures_on_card(POCKET)["judged/seen_looks/shape"] > 0.85


def test_they_are_small():
    files = [file for part in ("clip", "sd") for file in (POCKET / part).rglob("*.*")]
    assert sum(file.stat().st_size for file in files) < 12_500_000
