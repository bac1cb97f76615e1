import jax.numpy as jnp
import numpy as np
import pytest

from mcti_jax.classifier import mean_over_prompts, predict, prompt_features
from mcti_jax.layout import prepare
from tests.mcti.problem import problem


def features(tiny, prompts, pool):
    tower, name = tiny.objective.networks.class_tower
    table = tiny.frozen["params"][name]["token_embedding"]
    return prompt_features(
        tower,
        tiny.frozen["params"][name],
        jnp.asarray(tiny.frozen["params"]["projection"]),
        prepare(table, prompts, pool),
        jnp.asarray(tiny.tokens),
    )


@pytest.mark.parametrize("pool", ["placeholder", "eos"])
def test_cut_prompts_give_the_features_of_whole_ones(pool):
    tiny = problem(alpha=0.0, vectors=2)
    whole = features(tiny, tiny.prompts, pool)
    cut = features(tiny, tiny.prompts.cut(), pool)
    assert whole.shape == (5, 3, 24)
    np.testing.assert_allclose(np.linalg.norm(whole, axis=-1), 1, rtol=1e-5)
    np.testing.assert_allclose(cut, whole, rtol=1e-5, atol=1e-6)


def test_pools_differ():
    tiny = problem(alpha=0.0)
    placeholder, eos = (features(tiny, tiny.prompts.cut(), x) for x in ("placeholder", "eos"))
    assert np.abs(placeholder - eos).max() > 0.1


def test_words_after_the_placeholder_cannot_reach_its_feature():
    tiny = problem(alpha=0.0)
    ids = tiny.prompts.cut().ids.copy()
    after = np.arange(ids.shape[1]) > tiny.prompts.slot[:, None]
    changed = type(tiny.prompts)(np.where(after, 5, ids), tiny.prompts.slot, tiny.prompts.end, 1)
    np.testing.assert_allclose(
        features(tiny, changed, "placeholder"),
        features(tiny, tiny.prompts.cut(), "placeholder"),
        rtol=1e-5,
        atol=1e-6,
    )


def test_ensemble_is_the_renormalised_mean():
    """Two prompts at right angles meet in the middle; lengths of images do not matter."""
    prompts = jnp.array([[[1.0, 0, 0], [0, 1, 0]], [[0, 0, 1], [0, 0, 1]]])
    classes = mean_over_prompts(prompts)
    np.testing.assert_allclose(classes, [[0.5**0.5, 0.5**0.5, 0], [0, 0, 1]], rtol=1e-6)
    images = jnp.array([[5.0, 5, 1], [0.01, 0, 0.02], [-1, -1, 0]])
    assert predict(images, classes).tolist() == [0, 1, 1]
