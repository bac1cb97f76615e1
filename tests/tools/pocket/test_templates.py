"""The stage in which class names come to mean the same in every template."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common import load_clip
from common.pocket.world import NAMED, SECOND
from tools.pocket import train_templates as stage
from tools.pocket.corpus import sample_corpus
from tools.pocket.recipe import Fit
from tools.pocket.starting import single

pytestmark = pytest.mark.usefixtures("quick_compiler")

SPREAD = ("a photo of a {}.", "{}", "itap of a {}", "a {} in a video game.")


@pytest.fixture(scope="module")
def clip():
    return load_clip("pocket")


def spread(clip, params, names):
    """Return how far the features of each name lie from their mean over templates."""
    texts = [template.format(name) for template in SPREAD for name in names]
    features, _ = stage.read(clip.text_tower, params, jnp.asarray(clip.tokenizer(texts)))
    features = features.reshape(len(SPREAD), len(names), -1)
    return float(jnp.square(features - features.mean(0)).sum(-1).mean())


def test_texts_are_about_each_species_in_turn_and_vary():
    species = [*[NAMED[0]] * 3, *[SECOND[0]] * 50]
    prompts, sentences = stage.texts_about(species, seed=0)
    for texts in (prompts, sentences):
        assert all(one.name in text for one, text in zip(species, texts, strict=True))
        assert len(set(texts[3:])) > 15
    assert (prompts, sentences) == stage.texts_about(species, seed=0)


def test_names_come_together_and_captions_stay(clip, monkeypatch):
    # Far from rest, as a tower is that has met names in one sentence alone.
    params = single(clip.params["text"])
    moved = np.array(params["position_embedding"])
    moved[1:] += np.random.default_rng(0).normal(size=moved[1:].shape) * 0.05
    params = params | {"position_embedding": jnp.asarray(moved)}
    monkeypatch.setattr(stage, "NAMED", NAMED[:2])
    monkeypatch.setattr(stage, "RARE", ())
    monkeypatch.setattr(stage, "SECOND", SECOND[:2])
    corpus = sample_corpus(100, 1)
    names = [one.name for one in NAMED[:2] + SECOND[:2]]
    before = spread(clip, params, names)
    ids = jnp.asarray(clip.tokenizer(corpus.captions, truncate=True))
    features, states = stage.read(clip.text_tower, params, ids)
    kept = jax.tree.map(jnp.copy, params)
    plan = Fit(40, 32, 5e-4)
    trained = stage.train_templates(corpus, clip.tokenizer, clip.text_tower, params, plan, 0)
    assert spread(clip, trained, names) < 0.5 * before
    later, later_states = stage.read(clip.text_tower, trained, ids)
    assert float((later * features).sum(-1).min()) > 0.95
    assert float(jnp.square(later_states - states).mean()) < 0.05 * float(states.var())
    assert jax.tree.structure(trained) == jax.tree.structure(kept)
