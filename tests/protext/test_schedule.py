"""Epochs, against the reference's closed form and its rule for short epochs."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from protext_jax.runs import RunSetting, scale_by_epoch
from protext_jax.schedule import Sampler, rate, steps_per_epoch


def closed_form(epoch, epochs, peak):
    """Dassl's constant warm-up around torch's cosine, with its own count of epochs."""
    return 1e-5 if epoch < 5 else 0.5 * peak * (1 + math.cos(math.pi * (epoch - 5) / epochs))


def rates(epoch, epochs, peak):
    epoch = np.asarray(epoch, np.float32)
    return np.asarray(rate(epoch, np.full_like(epoch, epochs), np.full_like(epoch, peak)))


@pytest.mark.parametrize(("epochs", "peak"), [(10, 0.03), (30, 0.03), (50, 0.0025), (200, 0.03)])
def test_rates_of_the_first_forty_epochs(epochs, peak):
    found = rates(np.arange(40), epochs, peak)
    wanted = [closed_form(e, epochs, peak) if e < epochs else 0 for e in range(40)]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_the_rate_stops_short_of_zero():
    assert rates([29], 30, 0.03)[0] == pytest.approx(0.002865, rel=1e-3)
    assert rates([9], 10, 0.03)[0] == pytest.approx(0.01964, rel=1e-3)


@pytest.mark.parametrize(
    ("pairs", "steps"),
    # The pairs of the reference's files, and how many steps its epochs have.
    [(1500, 5), (380, 1), (8820, 34), (1020, 3), (125, 1), (2550, 9), (2820, 11), (256, 1)],
)
def test_steps_per_epoch(pairs, steps):
    assert steps_per_epoch(pairs, 256) == steps


def test_an_epoch_draws_without_replacement_and_drops_the_rest():
    sampler = Sampler(pairs=23, batch=5, seed=1)
    steps = [sampler.rows(step) for step in range(4)]
    assert {len(rows) for rows in steps} == {5}
    drawn = np.concatenate(steps)
    assert len(set(drawn)) == 20
    np.testing.assert_array_equal(sampler.epoch(0), steps)
    assert not np.array_equal(sampler.rows(4), steps[0])  # another epoch, another order
    np.testing.assert_array_equal(Sampler(23, 5, seed=1).rows(3), steps[3])
    assert not np.array_equal(Sampler(23, 5, seed=2).rows(3), steps[3])


def test_too_few_pairs_are_one_short_batch():
    sampler = Sampler(pairs=7, batch=256, seed=0)
    assert sampler.per_epoch == 1
    assert sorted(sampler.rows(3)) == list(range(7))


def test_runs_have_rates_of_their_own_per_epoch():
    runs = (RunSetting(0.03, 8, 0), RunSetting(0.0025, 6, 0))
    scale = scale_by_epoch(runs, per_epoch=2)
    state = scale.init(None)
    found = []
    for _ in range(16):
        change, state = scale.update({"prompts": jnp.ones((2, 1, 1, 1))}, state)
        found.append(-np.ravel(change["prompts"]))
    for number, run in enumerate(runs):
        wanted = [
            closed_form(step // 2, run.epochs, run.learning_rate) if step // 2 < run.epochs else 0
            for step in range(16)
        ]
        np.testing.assert_allclose(np.array(found)[:, number], wanted, rtol=1e-5)
