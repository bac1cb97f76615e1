"""The benchmark of AAPE's step: that its steps compute the same thing."""

from types import SimpleNamespace

import jax.numpy as jnp
import pytest

from benchmarks import aape_step
from benchmarks.aape_problem import SIZES, Problem


def test_steps_agree_and_are_timed():
    options = SimpleNamespace(batch=4, steps=["a", "b", "c"], seconds=0.0, repeats=1)
    text = aape_step.report(SIZES["small"], 5, options)
    rows = [line for line in text.splitlines() if line.startswith("| (")]
    assert [row[3] for row in rows] == ["a", "b", "c"]
    assert float(text.split()[-1].rstrip(".")) < aape_step.TOLERANCE


def test_steps_that_compute_different_things_are_refused():
    problems = Problem(SIZES["small"], 5, 4).steps("ab")
    loss, start, batch = problems["b"]
    problems["b"] = (loss, start, batch.replace(classes=jnp.flip(batch.classes, axis=0)))
    with pytest.raises(RuntimeError, match="different things"):
        aape_step.check(problems)
