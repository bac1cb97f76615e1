"""What the loss of the pocket UNet looks at."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tools.pocket.train_unet import drawn_times, mean_by_figure, min_snr_weight


def test_timesteps_of_a_batch_lie_apart():
    even, middle = np.split(np.asarray(drawn_times(jax.random.key(0), 200)), 2)
    for times in (even, middle):
        assert ((times >= 0) & (times < 1000)).all()
        assert (np.diff(times) >= 0).all()
    # One in each hundredth, but for rounding.
    assert np.abs(even / 999 - (np.arange(100) + 0.5) / 100).max() <= 0.5 / 100 + 0.5 / 999
    assert 500 < np.median(middle) < 700
    assert np.std(middle) < 0.8 * np.std(even)
    assert (even != np.asarray(drawn_times(jax.random.key(1), 200))[:100]).any()


def test_an_odd_batch_has_all_its_timesteps():
    assert drawn_times(jax.random.key(0), 7).shape == (7,)


def test_latents_that_see_an_object_count_four_times():
    error = jnp.asarray([[[1.0, 2.0], [3.0, 8.0]]])
    figure = jnp.asarray([[[False, False], [False, True]]])
    assert float(mean_by_figure(error, figure)) == pytest.approx((1 + 2 + 3 + 4 * 8) / 7)
    assert float(mean_by_figure(error, ~figure)) == pytest.approx((4 * (1 + 2 + 3) + 8) / 13)


def test_little_noise_counts_little():
    weights = np.asarray(min_snr_weight(jnp.asarray([0, 100, 900])))
    assert weights[0] < weights[1] < weights[2] == 1
