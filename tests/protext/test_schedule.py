"""Epochs, against the reference's closed form and its rule for short epochs."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from common.errors import UserError
from protext_jax.runs import RunSetting, rate, rates_by_epoch, rates_of, scale_by_rates
from tests.protext.tiny import settings


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


def test_runs_have_rates_of_their_own_per_epoch():
    runs = (RunSetting(0.03, 8, 0), RunSetting(0.0025, 6, 0))
    scale = scale_by_rates(rates_by_epoch(runs, per_epoch=2))
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


def test_updates_behind_the_last_epoch_are_refused():
    runs = (RunSetting(0.03, 8, 0), RunSetting(0.0025, 6, 0))
    rates_of(settings(updates=16), runs, per_epoch=2)
    with pytest.raises(UserError, match="updates=17 is more than the 16 of 8 epochs"):
        rates_of(settings(updates=17), runs, per_epoch=2)
