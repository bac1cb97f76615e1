"""The packed step against the plain one: every pair, all 77 positions, nothing shared."""

import functools

import jax
import numpy as np
import pytest

from common.clip import TextConfig
from common.training.mesh import make_mesh
from protext_jax.losses import LOSSES
from tests.protext.tiny import QUICK, TEXT, make_problem, wider

pytestmark = pytest.mark.usefixtures("quick_compiler")

VIT_B = TextConfig(49408, 512, 12, 8, 2048, projection=512)


def step(problem, batch, devices=1, loss="l2", options=QUICK):
    """Loss, metrics and gradient."""
    run = jax.jit(
        jax.value_and_grad(problem.objective(loss).__call__, has_aux=True),
        compiler_options=options,
    )
    with jax.set_mesh(make_mesh(devices, 1)):
        (value, metrics), gradient = run({"prompts": problem.prompts}, problem.frozen(), batch)
    return float(value), float(metrics["cosine"]), np.asarray(gradient["prompts"])


def check(found, wanted):
    np.testing.assert_allclose(found[0], wanted[0], rtol=1e-5)
    np.testing.assert_allclose(found[1], wanted[1], atol=1e-6)  # of random towers it is near 0
    for run, other in zip(found[2], wanted[2], strict=True):
        for own, plain in zip(run, other, strict=True):  # each block's prompts by themselves
            assert np.abs(own - plain).max() < 1e-5 * np.abs(plain).max()


@pytest.mark.parametrize(
    ("length", "depth", "activation"),
    [(4, 1, "quick_gelu"), (8, 1, "gelu"), (16, 2, "quick_gelu")],  # OpenAI's, OpenCLIP's
)
def test_the_fast_step_equals_the_plain_one(length, depth, activation):
    """Two blocks, of which both have prompts or the first alone."""
    problem = make_problem(length, depth, text=wider(activation=activation, layers=2))
    wanted = step(problem, problem.batches().batch(1))
    check(step(problem, problem.batches(shards=1).batch(1)), wanted)


def test_runs_and_devices_change_nothing():
    problem = make_problem(runs=2)
    wanted = step(problem, problem.batches().batch(1))
    check(step(problem, problem.batches(shards=2).batch(1), devices=2), wanted)


@pytest.mark.parametrize("loss", sorted(set(LOSSES) - {"l2"}))
def test_every_loss_has_one_value_in_both_forms(loss):
    problem = make_problem(text=wider(layers=1), depth=1)
    wanted = step(problem, problem.batches().batch(0), loss=loss)
    check(step(problem, problem.batches(shards=2).batch(0), devices=2, loss=loss), wanted)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("length", [4, 8, 16])
def test_at_the_size_of_vit_b(length):
    problem = make_problem(length, 9, classes=6, pairs=16, batch=12, text=VIT_B)
    run = functools.partial(step, problem, options=None)
    check(run(problem.batches(shards=1).batch(0)), run(problem.batches().batch(0)))


def test_a_packed_batch_is_far_smaller():
    problem = make_problem()
    layout = problem.batches(shards=1).batch(0)["layout"]
    assert layout.tokens.size < problem.batch * TEXT.positions / 20
