"""The rates that optimizers use, in every method, against those that a run logs and by hand.

With a gradient that is always one, Adam moves by its rate; so do trees of ones.
"""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from aape_jax.captioning.method import Captioning
from aape_jax.captioning.stages import check_stages, stage_rates, staged_optimizer
from aape_jax.core.optimizer import learning_rates, make_optimizer
from common.errors import UserError
from configs import aape, aape_captioning, mcti, protext
from mcti_jax import MCTI
from protext_jax.method import ProText
from protext_jax.runs import RunSetting, rates_of, scale_by_rates

UPDATES = 12
LINEAR = f"rate.schedule=linear,rate.warmup=3,rate.end=0.25,updates={UPDATES}"
SHARES = np.array([1 / 3, 2 / 3, 1, *(1 - 0.75 * np.arange(9) / 9)])
"""Of `LINEAR`, by hand."""


def moves(optimizer, tree, updates=UPDATES):
    """How far each update takes each array."""
    state, found = optimizer.init(tree), []
    for _ in range(updates):
        change, state = optimizer.update(tree, state, tree)
        found.append(change)
    return found


def test_mcti():
    method = MCTI(mcti.get_config(f"{LINEAR},weight_decay=0,samples=2"))
    found = moves(method.optimizer(), {"tokens": jnp.ones(3)})
    found = [-float(change["tokens"][0]) for change in found]
    logged = [method.learning_rates(step)["learning_rate"] for step in range(UPDATES)]
    np.testing.assert_allclose(found, logged, rtol=1e-4)
    np.testing.assert_allclose(logged, 2 * 2e-3 * SHARES, rtol=1e-5)


def test_mcti_without_a_schedule():
    method = MCTI(mcti.get_config())
    assert method.learning_rates(0) == method.learning_rates(99) == {"learning_rate": 8e-3}


RUNS = (RunSetting(0.03, 8, 0), RunSetting(0.0025, 6, 0))


@pytest.mark.parametrize("rate", ["rate.end=0", "rate.schedule=cosine,rate.warmup=2"])
def test_protext(rate):
    config = protext.get_config(f"{rate},updates=16")
    rates = rates_of(config, RUNS, per_epoch=2)
    found = moves(scale_by_rates(rates), {"prompts": jnp.ones((2, 1))}, 16)
    logged = np.array([rates(step) for step in range(16)])
    np.testing.assert_allclose([-x["prompts"][:, 0] for x in found], logged, rtol=1e-5)
    method = SimpleNamespace(config=config, plan=SimpleNamespace(runs=RUNS, per_epoch=2))
    method._rates = ProText._rates.fget(method)
    named = ProText.learning_rates(method, 5)
    assert list(named) == [f"{run.name}/learning_rate" for run in RUNS]
    np.testing.assert_allclose(list(named.values()), logged[5], rtol=1e-6)
    method.plan.runs = RUNS[:1]
    method._rates = ProText._rates.fget(method)
    assert list(ProText.learning_rates(method, 5)) == ["learning_rate"]


def test_each_run_of_protext_has_the_schedule_of_its_own_length():
    config = protext.get_config("rate.schedule=cosine,rate.warmup=2,updates=14")
    rates = rates_of(config, RUNS, per_epoch=2)
    logged = np.array([rates(step) for step in range(14)])
    for number, (run, length) in enumerate(zip(RUNS, (14, 12), strict=True)):
        passed = (np.arange(2, length) - 2) / (length - 2)
        wanted = [0.5, 1, *(0.5 * (1 + np.cos(np.pi * passed))), *[0] * (14 - length)]
        np.testing.assert_allclose(logged[:, number] / run.learning_rate, wanted, atol=1e-6)
    with pytest.raises(UserError, match=r"rate\.warmup=12 leaves nothing of the 12 updates"):
        rates_of(protext.get_config("rate.schedule=linear,rate.warmup=12,updates=14"), RUNS, 2)


@pytest.mark.parametrize(
    ("rate", "shares"),
    [
        (LINEAR, SHARES),
        # Epochs of three updates, the first at the warm-up's rate.
        (
            f"updates={UPDATES}",
            np.repeat([1e-5 / 2e-2, *0.5 * (1 + np.cos(np.pi * np.arange(1, 4) / 4))], 3),
        ),
    ],
)
def test_aape(rate, shares):
    fields = "optimizer=adamw,weight_decay=0,learning_rate=0.02"
    config = aape.get_config(f"{rate},{fields},aggregator.rate_factor=0.5")
    tree = {"aape": {"head": jnp.ones(2), "aggregator": jnp.ones(2)}}
    found = moves(make_optimizer(config, an_epoch=3), tree)
    logged = [learning_rates(config, 3, step) for step in range(UPDATES)]
    for name, metric, factor in (
        ("head", "learning_rate", 1),
        ("aggregator", "aggregator/learning_rate", 0.5),
    ):
        used = [-float(change["aape"][name][0]) for change in found]
        rates = 0.02 * factor * shares
        if "schedule" not in rate:
            rates[:3] = 1e-5
        np.testing.assert_allclose(used, rates, rtol=1e-4)
        np.testing.assert_allclose([x[metric] for x in logged], rates, rtol=1e-5)
    alike = aape.get_config(f"{rate},{fields}")
    assert list(learning_rates(alike, 3, 0)) == ["learning_rate"]


@pytest.mark.parametrize("rate", ["warmup=2", "rate.schedule=linear,rate.warmup=3,rate.end=0.25"])
def test_captioning_has_a_schedule_in_each_stage(rate):
    config = aape_captioning.get_config(
        f"{rate},map_updates=12,updates=24,map_rate=0.01,learning_rate=0.004,token_rate=0.2"
    )
    head = {"generator": jnp.ones(1), "token": {"kernel": jnp.ones(1)}}
    tree = {"aape": {"map": jnp.ones(1), "head": head, "aggregator": jnp.ones(1)}}
    found = moves(staged_optimizer(config), tree, 24)
    method = SimpleNamespace(config=config)
    logged = [Captioning.learning_rates(method, step)["learning_rate"] for step in range(24)]
    used = [-float(x["aape"]["map"][0]) for x in found[:12]]
    heads = [x["aape"]["head"] for x in found]
    used += [-float(x["generator"][0]) for x in heads[12:]]
    np.testing.assert_allclose(used, logged, rtol=1e-4, atol=1e-8)
    tokens = [-float(x["token"]["kernel"][0]) for x in heads[12:]]
    np.testing.assert_allclose(tokens, np.array(used[12:]) * 0.2 / 0.004, rtol=1e-4)
    assert not any(
        map(np.any, jax.tree.leaves([heads[:12], [x["aape"]["map"] for x in found[12:]]]))
    )
    if "linear" in rate:
        np.testing.assert_allclose(logged, [*0.01 * SHARES, *0.004 * SHARES], rtol=1e-5)
    assert stage_rates(config).keys() == {"map", "head", "token", "aggregator"}


def test_a_variant_beside_another_leaves_its_clip_alone():
    config = aape_captioning.get_config("map_updates=0,updates=9,warmup=1,lm.map=given")
    optimizer = staged_optimizer(config)

    def ends(*names):
        tree = {name: {"head": jnp.zeros(2), "aggregator": jnp.zeros(2)} for name in names}
        state = optimizer.init(tree)
        for own, other in ((0.5, 100.0), (0.1, 0.0), (40.0, 3.0)):
            sizes = {"aape": own, "other": other}
            part = {n: {"head": jnp.full(2, sizes[n]), "aggregator": jnp.ones(2)} for n in names}
            change, state = optimizer.update(part, state, tree)
            tree = optax.apply_updates(tree, change)
        return tree["aape"]["head"]

    np.testing.assert_array_equal(ends("aape", "other"), ends("aape"))


def test_a_warmup_that_a_stage_has_no_room_for():
    config = aape_captioning.get_config(
        "rate.schedule=linear,rate.warmup=5,map_updates=5,updates=24"
    )
    with pytest.raises(UserError, match=r"rate\.warmup=5 leaves nothing of the 5 updates"):
        check_stages(config, has_aape=True)
