"""Learning-rate schedules, against optax's own, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

from common.errors import UserError
from common.training.rates import PAPER, RateSchedule, check_rate, make_rate, rate_at
from configs import aape, aape_captioning, aape_retrieval, aape_vqa, mcti, protext

PEAK, UPDATES = 0.03, 40


def config(schedule="constant", warmup=0, end=0.0):
    return ConfigDict({"rate": {"schedule": schedule, "warmup": warmup, "end": end}})


def rates(changes, steps=UPDATES):
    rate = make_rate(config(**changes), PEAK, UPDATES)
    return np.array([rate_at(rate, step) for step in range(steps)])


@pytest.mark.parametrize(
    ("changes", "theirs"),
    [
        ({"schedule": "cosine"}, optax.cosine_decay_schedule(PEAK, 40)),
        ({"schedule": "cosine", "end": 0.1}, optax.cosine_decay_schedule(PEAK, 40, alpha=0.1)),
        ({"schedule": "linear"}, optax.linear_schedule(PEAK, 0.0, 40)),
        ({"schedule": "linear", "end": 0.5}, optax.linear_schedule(PEAK, PEAK / 2, 40)),
    ],
    ids=["cosine", "cosine to 0.1", "linear", "linear to 0.5"],
)
def test_rates_are_those_of_optax(changes, theirs):
    wanted = np.array([float(theirs(step)) for step in range(UPDATES)])
    np.testing.assert_allclose(rates(changes), wanted, rtol=1e-5, atol=1e-9)


def test_the_decay_behind_a_warmup_takes_the_updates_that_are_left():
    found = rates({"schedule": "cosine", "warmup": 8, "end": 0.25}, UPDATES + 5)
    wanted = [float(optax.cosine_decay_schedule(PEAK, 32, alpha=0.25)(s)) for s in range(37)]
    np.testing.assert_allclose(found[8:], wanted, rtol=1e-5)
    assert found[7] == pytest.approx(PEAK) and found[-1] == pytest.approx(PEAK / 4)


def test_a_warmup_rises_to_the_whole_rate_and_none_is_lost():
    found = rates({"warmup": 4})
    np.testing.assert_allclose(found[:5], PEAK * np.array([0.25, 0.5, 0.75, 1, 1]))


def test_a_constant_rate_is_a_number_so_that_the_optimizer_keeps_no_count():
    assert make_rate(config(), PEAK, UPDATES) == PEAK


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_a_program_has_the_rates_that_the_host_logs(schedule):
    share = RateSchedule(schedule, 5, 0.1).share
    steps, lengths = np.arange(50), np.array([20, 40])
    traced = jax.jit(jax.vmap(lambda step: share(step, jnp.asarray(lengths))))(jnp.asarray(steps))
    hosts = np.stack([share(int(step), lengths) for step in steps])
    np.testing.assert_allclose(traced, hosts, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schedule": PAPER, "warmup": 3}, "rate.warmup=3 changes nothing with rate.schedule=p"),
        ({"schedule": PAPER, "end": 0.5}, "rate.end=0.5 changes nothing with rate.schedule=paper"),
        ({"schedule": "constant", "end": 0.5}, "rate.end=0.5 changes nothing with rate.schedule=c"),
        ({"warmup": 40}, "rate.warmup=40 leaves nothing of the 40 updates"),
    ],
)
def test_what_contradicts_itself_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        check_rate(config(**changes), UPDATES)


def test_a_config_without_the_group_is_taken():
    check_rate(ConfigDict({"learning_rate": 0.1}), UPDATES)


@pytest.mark.parametrize("module", [mcti, protext, aape, aape_vqa, aape_retrieval, aape_captioning])
def test_every_config_has_the_group_and_refuses_other_names(module):
    from common.training.method import find_method

    assert find_method(module.get_config("rate.schedule=cosine,rate.warmup=1")).config.rate.warmup
    for odd in ("rate.schedule=step", "rate.warmup=-1", "rate.end=1.5"):
        with pytest.raises(UserError, match=odd.partition("=")[0]):
            find_method(module.get_config(odd))
