"""The benchmark of AAPE's step: that its steps compute the same thing."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import aape_cost, aape_step
from benchmarks.aape_problem import SIZES

pytestmark = pytest.mark.usefixtures("quick_compiler")


def test_steps_agree_and_are_timed():
    options = SimpleNamespace(
        batch=4, cocoop_batch=1, steps=["a", "b", "c"], seconds=0.0, repeats=1
    )
    text = aape_step.report(SIZES["small"], 5, options)
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| (")]
    assert [row[1].split()[0] for row in rows] == ["(a)", "(b)", "(c)"]
    assert [int(row[2]) for row in rows] == [4, 4, 1]
    speed = [float(row[4]) for row in rows]
    np.testing.assert_allclose(speed, [float(row[2]) * 1e3 / float(row[3]) for row in rows], 1e-2)
    np.testing.assert_allclose([float(row[5]) for row in rows], np.array(speed) / min(speed), 1e-2)
    assert float(text.split()[-1].rstrip(".")) < aape_step.TOLERANCE


def test_steps_that_compute_different_things_are_refused():
    """A few numbers take the place of the towers, which take seconds to compile."""
    start, frozen = {"w": jnp.ones(3)}, jnp.arange(3.0)

    def loss(params, frozen):
        return (params["w"] ** 2 * frozen).sum()

    problems = {"a": (loss, start, frozen), "b": (loss, start, frozen)}
    assert aape_step.check(problems) == 0
    problems["b"] = (loss, start, frozen * (1 + 2 * aape_step.TOLERANCE))
    with pytest.raises(RuntimeError, match="different things"):
        aape_step.check(problems)


def test_whole_trainings_and_predictions_are_timed():
    options = SimpleNamespace(batch=4, epochs=2, seconds=0.0, repeats=1)
    text = aape_cost.report(SIZES["small"], [3], options)
    rows = [line.split("|") for line in text.splitlines() if line.startswith("|")]
    updates = [int(row[2]) for row in rows if len(row) == 6 and row[1].strip().isdigit()]
    assert updates == [2 * 16 * 3 // 4]
    for row in rows:
        if len(row) == 7 and row[1].strip().isdigit():
            tower, clip, aape, more = map(float, row[2:6])
            np.testing.assert_allclose(more, 100 * ((tower + aape) / (tower + clip) - 1), atol=0.5)
