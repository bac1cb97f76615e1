import dataclasses
from collections import Counter

import numpy as np
import pytest

from common.pocket.renderer import STYLES, covered, render
from common.pocket.world import COLOURS, NAMED, NAMELESS, RARE, SECOND, Species, is_unseen
from tools.pocket.corpus import RARE_SHARE, SHIFT_SHARE, sample_corpus


@pytest.fixture(scope="module")
def corpus():
    return sample_corpus(3000, seed=5)


def test_the_corpus_shows_and_says_nothing_held_out(corpus):
    names = {each.name for each in NAMELESS}
    for scene, caption in zip(corpus.scenes, corpus.captions, strict=True):
        assert not is_unseen(scene.species.look)
        assert not names & set(caption.replace(",", " ").replace(".", " ").split())


def test_a_name_stands_alone_now_and_then(corpus):
    named = [
        pair for pair in zip(corpus.scenes, corpus.captions, strict=True) if pair[0].species.name
    ]
    alone = np.mean([caption.rstrip(".") == scene.species.name for scene, caption in named])
    assert 0.05 < alone < 0.09


def test_shifts_of_style_and_rare_species_are_seldom():
    scenes = sample_corpus(4000, seed=6).scenes
    shares = {style: np.mean([scene.style == style for scene in scenes]) for style in STYLES}
    assert 0.68 < shares["photo"] < 0.75
    assert all(0.4 < shares[style] / SHIFT_SHARE < 1.8 for style in ("sketch", "neon"))
    rare = np.mean([scene.species in RARE + SECOND for scene in scenes])
    assert 0.4 < rare / RARE_SHARE < 1.8


def test_pictures_are_those_of_the_renderer_in_order():
    corpus = sample_corpus(7, seed=2)
    np.testing.assert_array_equal(corpus.pictures, render(corpus.scenes))


def test_figures_are_where_the_objects_are():
    corpus = sample_corpus(5, seed=2)
    shares = covered(corpus.scenes)
    assert corpus.figures.shape == (5, 8, 8)
    for figure, share in zip(corpus.figures, shares, strict=True):
        assert not share[np.kron(figure, np.ones((4, 4))) == 0].any()
        assert all(
            share[4 * i : 4 * i + 4, 4 * j : 4 * j + 4].any() for i, j in np.argwhere(figure)
        )


def test_objects_cover_what_changes_with_their_colour():
    photos = [scene for scene in sample_corpus(60, seed=3).scenes if scene.style == "photo"]
    for scene in photos[:12]:
        look = scene.species.look
        other = next(c for c in COLOURS if c not in (look.body, look.mark))
        recoloured = dataclasses.replace(look, body=other, mark=look.body)
        twin = dataclasses.replace(scene, species=Species("", recoloured))
        before, after = render([scene, twin]).astype(int)
        (share,) = covered([scene])
        changed = np.abs(before - after).max(-1) > 0
        assert not changed[share == 0].any()
        assert changed[share > 0.5].mean() > 0.9


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
