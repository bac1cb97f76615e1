"""CoOp's schedule, and who learns at which rate."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from aape_jax.core.epochs import Epochs
from aape_jax.core.optimizer import check_counts, counts, epochs, make_optimizer, rate_by_epoch
from common.errors import UserError
from tests.aape.problem import settings


def test_rate_is_constant_within_an_epoch_and_falls_as_a_cosine():
    rate = rate_by_epoch(2e-3, total_steps=40, an_epoch=4, warmup_epochs=1, warmup_rate=1e-5)
    found = np.array([float(rate(step)) for step in range(40)]).reshape(10, 4)
    assert (found == found[:, :1]).all()
    expected = 1e-3 * (1 + np.cos(np.pi * np.arange(10) / 10))
    expected[0] = 1e-5
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("schedule", "shots", "number"),
    [("short", 16, 10), ("coop", 16, 200), ("coop", 8, 200), ("coop", 4, 100), ("coop", 1, 50)],
)
def test_epochs_of_the_papers(schedule, shots, number):
    assert epochs(schedule, shots) == number


def test_counts_are_whole_epochs():
    found = counts(settings(schedule="short"), examples=100)
    assert (found["updates"], found["steps_per_call"], found["log_every"]) == (30, 3, 3)
    with pytest.raises(
        UserError, match="schedule='long' is unknown; choose one of counts, short, coop"
    ):
        counts(settings(schedule="long"), examples=100)


def test_counts_that_a_schedule_would_replace_are_refused():
    usual = settings()
    planned = counts(settings(schedule="short"), examples=100)
    for harmless in ({}, planned, {"eval_every": usual.eval_every}):
        check_counts(settings(schedule="short", **harmless), planned, usual)
    with pytest.raises(UserError) as error:
        check_counts(settings(schedule="short", updates=7, eval_every=6), planned, usual)
    assert str(error.value) == (
        "schedule=short sets updates=30, not 7: give schedule=counts,updates=7,steps_per_call=3,"
        "log_every=3,save_every=0,eval_every=6."
    )


def test_sgd_is_pytorchs_and_the_aggregator_has_its_own_rate():
    config = settings(
        updates=10, learning_rate=2e-3, weight_decay=0.05, aggregator__rate_factor=0.5
    )
    optimizer = make_optimizer(config, an_epoch=1)
    start = {"head": jnp.array([1.0, -2.0]), "aggregator": jnp.array([1.0, -2.0])}
    tree, state = {"aape": start}, optimizer.init({"aape": start})
    gradients = np.random.default_rng(0).standard_normal((5, 2)).astype(np.float32)
    expected = {name: np.array([1.0, -2.0]) for name in start}
    momentum = dict.fromkeys(start, 0.0)
    for epoch, gradient in enumerate(gradients):
        both = {"aape": dict.fromkeys(start, jnp.asarray(gradient))}
        change, state = optimizer.update(both, state, tree)
        tree = optax.apply_updates(tree, change)
        for name, factor in (("head", 1.0), ("aggregator", 0.5)):
            momentum[name] = 0.9 * momentum[name] + gradient + 0.05 * expected[name]
            rate = 1e-3 * factor * (1 + np.cos(np.pi * epoch / 10)) if epoch else 1e-5
            expected[name] = expected[name] - rate * momentum[name]
    for name, value in expected.items():
        np.testing.assert_allclose(tree["aape"][name], value, rtol=1e-5)


def test_variants_have_rates_of_their_own():
    usual, slow = settings(updates=10, learning_rate=0.1), settings(learning_rate=0.01)
    optimizer = make_optimizer(usual, 1, {"aape": usual, "paper": slow})
    tree = {name: {"head": jnp.ones(2), "aggregator": jnp.ones(2)} for name in ("aape", "paper")}
    state = optimizer.init(tree)
    for _ in range(2):  # The first epoch's rate is the warm-up's.
        change, state = optimizer.update(tree, state, tree)
    for group in ("head", "aggregator"):
        np.testing.assert_allclose(change["aape"][group], 10 * change["paper"][group], rtol=1e-5)


def test_an_epoch_shows_each_example_once():
    source = Epochs("", examples=10, views=3, size=4, seed=1)
    first, second = ([source.batch(2 * e + s)["rows"] for s in (0, 1)] for e in (0, 1))
    for epoch in (first, second):
        assert len(set(np.concatenate(epoch).tolist())) == 8
    assert np.concatenate(first).tolist() != np.concatenate(second).tolist()
    np.testing.assert_array_equal(source.batch(3)["rows"], second[1])
    assert {int(v) for s in range(20) for v in source.batch(s)["views"]} == {0, 1, 2}


def test_unknown_optimizer():
    with pytest.raises(UserError, match="optimizer='lion' is unknown; choose one of sgd, adamw"):
        make_optimizer(settings(optimizer="lion"), 1)
