"""Rows on several devices and in chunks against all rows at once on one."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.training.mesh import make_mesh
from mcti_jax.rows import padded, sum_over_rows
from tests.mcti.problem import problem

pytestmark = pytest.mark.usefixtures("quick_compiler")


@pytest.mark.parametrize(
    ("count", "devices", "chunk", "expected"),
    [
        (5, 1, 0, (5, 5)),
        (5, 1, 2, (6, 2)),
        (5, 1, 9, (5, 5)),
        (5, 4, 0, (8, 2)),
        (5, 8, 0, (8, 1)),
        (17, 4, 2, (24, 2)),
        (16, 4, 3, (24, 3)),
        (1000, 8, 1, (1000, 1)),
    ],
)
def test_padded(count, devices, chunk, expected):
    rows, at_once = padded(count, devices, chunk)
    assert (rows, at_once) == expected
    assert rows % (devices * at_once) == 0


def bowls(tokens, own, shared):
    """A loss whose gradient can be written down: shared * own * (t - 1)^2 / 2."""
    values = shared * own * ((tokens - 1) ** 2).sum((1, 2)) / 2
    return values, {"own": own}


@pytest.mark.parametrize("at_once", [1, 2, 3, 6])
def test_gradient_of_the_sum_is_each_rows_own(at_once):
    tokens = np.random.default_rng(0).standard_normal((6, 2, 3)).astype(np.float32)
    own, shared = np.arange(6, dtype=np.float32), np.float32(3)

    def total(tokens):
        return sum_over_rows(bowls, tokens, jnp.asarray(own), shared, at_once=at_once)

    with jax.set_mesh(make_mesh(1, 1, jax.devices()[:1])):
        (value, metrics), gradient = jax.jit(jax.value_and_grad(total, has_aux=True))(tokens)
    weight = (shared * own)[:, None, None]
    np.testing.assert_allclose(gradient, weight * (tokens - 1), rtol=1e-6)
    np.testing.assert_allclose(value, (weight * (tokens - 1) ** 2 / 2).sum(), rtol=1e-6)
    np.testing.assert_array_equal(metrics["own"], own)


SETTINGS = {"alpha": 0.0, "gamma": 0.5, "vectors": 2, "samples": 3}


@functools.cache
def trained(devices=1, chunk=0):
    return problem(devices=devices, classes_per_chunk=chunk, **SETTINGS).differentiate(devices)


@pytest.mark.parametrize(("devices", "chunk"), [(2, 2), (8, 0)], ids=str)
def test_devices_and_chunks_change_nothing(devices, chunk):
    """Five classes leave a remainder in both."""
    expected, found = trained(), trained(devices, chunk)
    np.testing.assert_allclose(found.value, expected.value, rtol=1e-6)
    assert found.metrics == pytest.approx(expected.metrics, rel=1e-5)
    error = np.abs(found.gradient - expected.gradient).max()
    assert error < 1e-5 * np.abs(expected.gradient).max()


def test_every_class_learns_and_padding_does_not():
    found = trained(8, 0)
    assert found.rows.shape == (8, 2, 32)
    assert found.rows[:5].any(axis=2).all()
    assert not found.rows[5:].any()


def collectives(program):
    """Number of elements of each collective of a compiled program."""
    kinds = "all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute"
    found = re.findall(rf"= (.*?) (?:{kinds})(?:-start)?\(", program)
    shapes = [shape for line in found for shape in re.findall(r"\w+\[([\d,]*)\]", line)]
    return [int(np.prod([int(n) for n in shape.split(",") if n])) for shape in shapes]


def test_only_metrics_cross_devices():
    """A token here has 64 numbers: no gradient can hide among the sums."""
    sizes = collectives(trained(2, 2).program)
    assert sizes
    assert max(sizes) <= 4
