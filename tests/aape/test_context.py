"""CoOp and CoCoOp: where they start, and what of them depends on the image."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from aape_jax.classification.baselines.context import CoCoOp, CoOp, context_prompts, train_context
from aape_jax.core.head import parameter_count
from common.clip import load_clip
from common.data.clip_texts import text_features
from common.evaluation.classification import normalise
from tests.aape.problem import disturbed, vectors

pytestmark = pytest.mark.usefixtures("quick_compiler")

NAMES = ("red_star", "blue heart", "green fish")
WIDTH = 128
X = jnp.asarray(vectors(4, WIDTH))


@pytest.fixture(scope="module")
def clip():
    return load_clip("pocket")


@pytest.fixture(scope="module")
def prompts(clip):
    return context_prompts(clip, NAMES)


def logits(learner, clip, prompts, params):
    given = (jnp.asarray(prompts.embedded), jnp.asarray(prompts.pool_at))
    return jax.jit(learner.logits)(params, clip.params["text"], given, X)


def test_coop_starts_as_the_template(clip, prompts, tmp_path):
    learner = CoOp(clip.text_tower)
    params = learner.init(jax.random.key(0), jnp.asarray(prompts.start), WIDTH)
    texts = [f"a photo of a {name}." for name in ("red star", "blue heart", "green fish")]
    expected = 100 * X @ normalise(text_features(clip, texts, tmp_path)).T
    np.testing.assert_allclose(logits(learner, clip, prompts, params), expected, atol=0.05)


def test_cocoop_shifts_the_context_of_each_image_by_its_network(clip, prompts):
    learner = CoCoOp(clip.text_tower)
    params = learner.init(jax.random.key(0), jnp.asarray(prompts.start), WIDTH)
    params = disturbed(params, size=0.05)
    found = logits(learner, clip, prompts, params)
    hidden = np.maximum(X @ params["down"] + params["down_bias"], 0)
    shifts = hidden @ params["up"] + params["up_bias"]
    for image, shift in enumerate(shifts):
        own = {"context": params["context"] + shift}
        expected = logits(CoOp(clip.text_tower), clip, prompts, own)
        np.testing.assert_allclose(found[image], expected[image], rtol=1e-3, atol=1e-2)


def test_cocoops_size_at_the_papers_width(clip):
    start = jnp.zeros((4, 512))
    params = CoCoOp(clip.text_tower).init(jax.random.key(0), start, 512)
    assert parameter_count(params) == 35_360


def test_training_lowers_the_loss(clip, prompts):
    labels = np.arange(4) % 3
    batches = np.tile(np.arange(4), (40, 1))
    x = np.asarray(X)
    predict = train_context(
        CoOp(clip.text_tower), clip, NAMES, x, labels, batches, optax.adam(0.05), seed=0
    )
    np.testing.assert_array_equal(predict(x, NAMES), labels)
