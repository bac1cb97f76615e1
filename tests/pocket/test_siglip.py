"""The bundled SigLIP: it opens by name, is small, and knows the pocket world."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.clip import load_clip
from common.clip.config import SigLIPViTConfig
from common.clip.known import describe_clip
from common.kinds import find_kind
from common.pocket.captions import plain_description
from common.pocket.renderer import render
from common.pocket.world import NAMED, Scene
from common.weights.resolve import POCKET
from tests.pocket.cards import figures_on_card

pytestmark = pytest.mark.usefixtures("quick_compiler")
SOURCE = "pocket:siglip"


@pytest.fixture(scope="module")
def siglip():
    return load_clip(SOURCE)


def test_it_opens_by_name(siglip):
    assert isinstance(siglip.config.vision, SigLIPViTConfig)
    assert siglip.bias < 0 < siglip.scale
    described = describe_clip(SOURCE, jnp.float32)
    assert described.config.vision == siglip.config.vision
    assert jax.tree.map(jnp.shape, described.params) == jax.tree.map(jnp.shape, siglip.params)
    assert find_kind(SOURCE).load is load_clip


def test_it_is_small():
    files = [file for file in (POCKET / "siglip").iterdir() if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 4_200_000


@pytest.mark.parametrize("words", [plain_description, lambda species: f"a {species.name}"])
def test_it_knows_looks_and_names(siglip, words):
    chosen = NAMED[:8]
    pictures = render([Scene(species, size="large", seed=n) for n in (1, 2) for species in chosen])
    texts = [words(species) for species in chosen]
    found = siglip.classify(list(pictures), texts, templates="a photo of {}")
    assert np.mean([a == b for a, b in zip(found.names, 2 * texts, strict=True)]) > 0.6
    apart = siglip.classify(list(pictures[:2]), texts, scores="sigmoid").probabilities
    assert ((apart >= 0) & (apart <= 1)).all() and (apart.sum(1) != 1).all()


def test_its_figures_are_beside_it():
    assert figures_on_card(POCKET / "siglip")["siglip/named/accuracy_by_name"] > 0.45
    assert "siglip/README.md" in (POCKET / "README.md").read_text()
