import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mcti_jax.draws import draw, uniform_index
from tests.mcti.tiny import QUICK

pytestmark = pytest.mark.usefixtures("quick_compiler")
COUNTS = jnp.array([1, 2, 3, 6, 5])
ALL = [0, 1, 2, 3, 4]


def draws(labels, seed=0, **options):
    return _draws(jax.random.key(seed), jnp.asarray(labels), **options)


@functools.partial(
    jax.jit,
    static_argnames=("samples", "feature_draws", "shared_features"),
    compiler_options=QUICK,
)
def _draws(key, labels, samples=4, feature_draws=1, shared_features=True):
    return draw(
        key,
        labels,
        2 * COUNTS[labels],
        2 * COUNTS,
        samples=samples,
        feature_draws=feature_draws,
        latent=(2, 2, 4),
        timesteps=1000,
        templates=27,
        shared_features=shared_features,
    )


def assert_uniform(values, count):
    """Each of `count` values comes up as often as chance allows (five standard deviations)."""
    seen = np.bincount(np.ravel(values), minlength=count)
    assert len(seen) == count
    expected = np.size(values) / count
    assert np.abs(seen - expected).max() < 5 * np.sqrt(expected)


def test_ragged_counts_are_drawn_uniformly():
    found = np.asarray(uniform_index(jax.random.key(0), jnp.tile(COUNTS, (3000, 1))))
    for column, count in zip(found.T, COUNTS.tolist(), strict=True):
        assert_uniform(column, count)


def test_index_stays_below_the_count(monkeypatch):
    """Also for the largest float32 below 1."""
    monkeypatch.setattr(jax.random, "uniform", lambda key, shape: jnp.full(shape, 1 - 2**-24))
    counts = jnp.array([1, 2**20 + 1, 2**24])
    np.testing.assert_array_equal(uniform_index(jax.random.key(0), counts), counts - 1)


def test_every_choice_has_its_own_range():
    found = draws(ALL, samples=2000)
    for row, count in enumerate((2 * COUNTS).tolist()):
        assert_uniform(found.entry[row], count)
        assert_uniform(found.feature[0, ..., row], count)
        assert_uniform(found.template[row], 27)
        assert_uniform(found.timestep[row] // 100, 10)
    assert 0 <= found.timestep.min() < 5
    assert 995 <= found.timestep.max() < 1000
    for noise in (found.posterior, found.noise):
        np.testing.assert_allclose([noise.mean(), noise.std()], [0, 1], atol=0.01)
    assert abs((found.posterior * found.noise).mean()) < 0.01


@pytest.mark.parametrize("shared", [True, False])
def test_draws_of_a_class_do_not_depend_on_its_neighbours(shared):
    """So that chunks change nothing, and two settings of a class meet the same draws."""
    mixed, same = draws(ALL, shared_features=shared), draws([3] * 5, shared_features=shared)
    for row in range(5):
        jax.tree.map(lambda a, b, i=row: np.testing.assert_array_equal(a[3], b[i]), mixed, same)


def test_classes_differ_in_all_that_they_do_not_share():
    shared, own = draws(ALL), draws(ALL, shared_features=False)
    assert (shared.feature[0] == shared.feature).all()
    assert (own.feature[0] != own.feature[1]).any()
    for found in (shared, own):
        assert (found.noise[0] != found.noise[1]).all()
        assert (found.timestep[0] != found.timestep[1]).any()


def test_samples_and_feature_draws_are_independent():
    found = draws([4], samples=500, feature_draws=2).feature[0, :, :, 4]
    agree = (found[:, 0] == found[:, 1]).mean()
    assert abs(agree - 1 / 10) < 0.07
    assert abs((found[1:, 0] == found[:-1, 0]).mean() - 1 / 10) < 0.07


def test_another_key_draws_anew():
    first, second = draws(ALL, seed=0), draws(ALL, seed=1)
    assert (first.noise != second.noise).all()
