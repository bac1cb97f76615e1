"""The module alone: what each token sees, and that the cache changes nothing."""

import jax.numpy as jnp
import numpy as np
import pytest

from common.language import empty_cache
from common.language.layers import rotate

SLOTS = 8

pytestmark = pytest.mark.usefixtures("quick_compiler")


def sequence(lm, batch=2, length=6, seed=0):
    drawn = np.random.default_rng(seed).normal(size=(batch, length, lm.config.width))
    return jnp.asarray(drawn, jnp.float32)


def test_a_cache_changes_nothing(lm, read):
    x = sequence(lm)
    expected, _ = read(x)
    cache = empty_cache(lm.config, 2, SLOTS)
    found = []
    for part in jnp.split(x, 3, axis=1):
        hidden, cache = read(part, None, cache)
        found.append(hidden)
    np.testing.assert_allclose(jnp.concatenate(found, axis=1), expected, rtol=1e-4, atol=1e-5)
    assert int(cache.filled) == 6
    assert cache.valid.sum() == 12


@pytest.mark.parametrize("where", [[0, 1], [2, 4]])
def test_padding_changes_nothing(lm, read, where):
    x = sequence(lm)
    expected, _ = read(x)
    real = np.setdiff1d(np.arange(6), where)
    padded = jnp.full(x.shape, 9.0).at[:, real].set(x[:, :4])
    mask = jnp.ones((2, 6), bool).at[:, jnp.array(where)].set(False)
    hidden, cache = read(padded, mask, empty_cache(lm.config, 2, SLOTS))
    np.testing.assert_allclose(hidden[:, real], expected[:, :4], rtol=1e-4, atol=1e-5)
    # And what follows stands at the next position.
    following, _ = read(x[:, 4:], None, cache)
    np.testing.assert_allclose(following, expected[:, 4:], rtol=1e-4, atol=1e-5)


def test_rows_of_padding_alone_stay_finite(lm, read):
    cache = empty_cache(lm.config, 2, SLOTS)
    hidden, _ = read(sequence(lm), jnp.zeros((2, 6), bool), cache)
    assert jnp.isfinite(hidden).all()


def test_no_token_sees_a_later_one(lm, read):
    x = sequence(lm)
    first, _ = read(x)
    second, _ = read(x.at[:, 4, 0].add(3.0))
    np.testing.assert_array_equal(first[:, :4], second[:, :4])
    assert jnp.abs(first[:, 4:] - second[:, 4:]).max() > 1e-3


def test_logits_are_products_with_the_embeddings_or_a_layer_of_their_own(lm, read):
    hidden, _ = read(sequence(lm))
    found = lm.model.apply({"params": lm.params}, hidden, method="logits")
    if lm.config.tied:
        expected = hidden @ lm.params["token_embedding"].T
    else:
        head = lm.params["head"]
        expected = hidden @ head["kernel"] + head["bias"]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_a_sequence_beyond_the_positions_is_refused(lm):
    with pytest.raises(ValueError, match="21 tokens exceed the model's 20 positions"):
        empty_cache(lm.config, 1, 21)


def test_rotated_products_depend_on_the_distance_alone():
    rng = np.random.default_rng(0)
    query, key = (jnp.asarray(rng.normal(size=(1, 1, 1, 8)), jnp.float32) for _ in range(2))

    def product(i, j):
        first, second = (rotate(x, jnp.array([[at]]), 6) for x, at in ((query, i), (key, j)))
        return float((first * second).sum())

    assert product(2, 5) == pytest.approx(product(12, 15), rel=1e-4)
    assert product(2, 5) != pytest.approx(product(2, 6), rel=1e-2)
    np.testing.assert_array_equal(rotate(query, jnp.array([[9]]), 6)[..., 6:], query[..., 6:])
    np.testing.assert_allclose(rotate(query, jnp.array([[0]]), 6), query, rtol=1e-6)
