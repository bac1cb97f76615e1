"""One compiled call: which steps it makes, and with what."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import NamedSharding

from common.hosts import place
from common.training.mesh import make_mesh
from common.training.state import init_state
from common.training.step import UNUSED, feed_shardings, make_call, make_feed


class Walk:
    """The value moves down by what the batch and the key say."""

    def __init__(self, noise: float = 0.0) -> None:
        self.noise = noise

    def optimizer(self):
        return optax.sgd(1.0, momentum=0.5)

    def loss(self, trainable, frozen, batch, key):
        draw = self.noise * jax.random.normal(key)
        loss = trainable["x"] * (batch["slope"] * frozen["scale"] + draw)
        return loss, {"slope": batch["slope"], "draw": draw}


class Slopes:
    fingerprint = "slopes"

    def __init__(self, *slopes: float) -> None:
        self.slopes = slopes

    def batch(self, step):
        return {"slope": np.float32(self.slopes[step])}


def run(method, slopes, steps: range, slots: int, x: float = 1.0, at: int = 0):
    mesh = make_mesh(8, 1)
    everywhere = NamedSharding(mesh, jax.P())
    state = init_state({"x": jnp.float32(x)}, method.optimizer())
    state = state.__class__(jnp.int32(at), state.trainable, state.opt_state)
    where = jax.tree.map(lambda _: everywhere, state)
    state = place(state, where)
    frozen = place({"scale": np.float32(1)}, {"scale": everywhere})
    key = jax.device_put(jax.random.key(0), everywhere)
    with jax.set_mesh(mesh):
        call = make_call(method, where, mesh)
        feed = make_feed(Slopes(*slopes), steps, slots)
        feed = place(feed, feed_shardings(feed, (), mesh))
        return call(state, frozen, key, feed), state


def test_a_call_makes_its_steps():
    # By hand, with momentum 0.5: moves of 1, then 2 + 0.5, then 3 + 1.25.
    (state, report), _ = run(Walk(), [1, 2, 3], range(3), 3)
    assert float(state.trainable["x"]) == 1 - 1 - 2.5 - 4.25
    assert int(state.step) == int(report.step) == int(report.count) == 3
    assert float(report.sums["slope"]) == 6
    # Losses before each move: 1*1, 0*2, -2.5*3.
    assert float(report.sums["loss"]) == -6.5


def test_parameters_made_of_python_numbers_do_not_compile_the_call_anew():
    state = init_state({"x": jnp.full((), 1.0)}, optax.sgd(1.0, momentum=0.5))
    assert not any(leaf.weak_type for leaf in jax.tree.leaves(state))


def test_a_short_call_leaves_its_other_slots_empty():
    feed = make_feed(Slopes(1, 2), range(2), 4)
    np.testing.assert_array_equal(feed.steps, [0, 1, UNUSED, UNUSED])
    np.testing.assert_array_equal(feed.batches["slope"], [1, 2, 2, 2])
    (state, report), _ = run(Walk(), [1, 2], range(2), 4)
    assert float(state.trainable["x"]) == -2.5
    assert int(report.step) == int(report.count) == 2
    assert float(report.sums["slope"]) == 3


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_step_that_is_not_finite_is_refused_and_so_are_those_after(bad):
    (state, report), _ = run(Walk(), [1, bad, 3], range(3), 3)
    assert float(state.trainable["x"]) == 0
    assert int(state.step) == int(report.step) == 1
    assert float(state.opt_state[0].trace["x"]) == 1
    assert int(report.count) == 2


def test_an_update_that_is_not_finite_is_refused():
    # Both losses are 0, and the first move is 3e38; momentum takes the second beyond float32.
    (state, report), _ = run(Walk(), [3e38, 0], range(2), 2, x=0.0)
    assert float(report.sums["loss"]) == 0
    assert int(report.step) == 1
    assert float(state.trainable["x"]) == np.float32(-3e38)


def test_a_batch_of_another_step_changes_nothing():
    (state, report), _ = run(Walk(), [0, 0, 0, 4], range(3, 4), 1, at=2)
    assert float(state.trainable["x"]) == 1
    assert int(state.step) == 2
    assert int(report.count) == 0


def test_draws_depend_on_the_step_alone():
    method = Walk(noise=1.0)
    draws = [
        float(run(method, [0] * 6, range(s, s + 1), n, at=s)[0][1].sums["draw"])
        for s, n in ((4, 1), (4, 3), (5, 1))
    ]
    assert draws[0] == draws[1] != draws[2]


def test_the_state_is_donated():
    _, before = run(Walk(), [1], range(1), 1)
    assert before.trainable["x"].is_deleted()
