from collections import Counter

import numpy as np
import pytest

from common.pocket.renderer import STYLES, render
from common.pocket.world import NAMED, NAMELESS, RARE, SECOND, is_unseen
from tools.pocket.corpus import sample_corpus


@pytest.fixture(scope="module")
def corpus():
    return sample_corpus(3000, seed=5)


def test_the_corpus_shows_and_says_nothing_held_out(corpus):
    names = {each.name for each in NAMELESS}
    for scene, caption in zip(corpus.scenes, corpus.captions, strict=True):
        assert not is_unseen(scene.species.look)
        assert not names & set(caption.replace(",", " ").replace(".", " ").split())


def test_sketches_and_neon_are_seldom():
    scenes = sample_corpus(4000, seed=6).scenes
    shares = {style: np.mean([scene.style == style for scene in scenes]) for style in STYLES}
    assert 0.66 < shares["photo"] < 0.74
    assert all(0.005 < shares[style] < 0.03 for style in ("sketch", "neon"))


def test_pictures_are_those_of_the_renderer_in_order():
    corpus = sample_corpus(7, seed=2)
    np.testing.assert_array_equal(corpus.pictures, render(corpus.scenes))


def test_rare_species_are_rare_and_go_by_their_name(corpus):
    counts = Counter(scene.species for scene in corpus.scenes)
    often = np.mean([counts[each] for each in NAMED])
    seldom = np.mean([counts[each] for each in RARE + SECOND])
    assert 0 < seldom < 0.35 * often
    owned = {each.look for each in RARE + SECOND}
    assert all(scene.species.name for scene in corpus.scenes if scene.species.look in owned)


def test_a_longer_corpus_begins_with_the_shorter_one():
    short, long = sample_corpus(20, seed=1), sample_corpus(30, seed=1)
    assert long.scenes[:20] == short.scenes
    assert long.captions[:20] == short.captions
    assert sample_corpus(20, seed=2).captions != short.captions
