"""The benchmark of MC-TI's step: that it compares like with like, and says so when not."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest

from benchmarks import mcti_problem, mcti_step, timing
from common.errors import UserError


@pytest.fixture
def tiny():
    yield "tiny"
    jax.config.update("jax_default_matmul_precision", None)


def test_without_pytorch_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(mcti_step, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"promptax\[reference\]"):
        mcti_step.choose_device("cpu")


def test_medians_are_over_rounds_of_turns(monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(clock))
    turns = []

    def step(name, samples):
        return lambda: turns.append(name) or samples

    rates = mcti_step.throughput({"a": step("a", 4), "b": step("b", 8)}, seconds=0, repeats=3)
    assert turns == ["a", "b"] * 5  # the first two of each warm up
    assert rates["b"] == 2 * rates["a"] > 0


@pytest.mark.reference
def test_all_four_steps_agree_and_are_timed(tiny, capsys):
    pytest.importorskip("torch")
    pytest.importorskip("diffusers")
    options = SimpleNamespace(classes=3, chunk=None, seconds=0.0, repeats=1)
    mcti_step.report(tiny, "cpu", jnp.dtype("bfloat16"), options)
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| (")]
    assert [row[3] for row in rows] == ["a", "b", "c", "d"]
    for row in rows:
        assert float(row.split("|")[2]) > 0


@pytest.mark.reference
def test_steps_that_compute_different_things_are_refused(tiny, monkeypatch):
    pytest.importorskip("torch")
    pytest.importorskip("diffusers")
    problem = mcti_problem.make_problem(tiny, classes=3)
    mcti_step.set_exact(True)
    steps = mcti_step.build(problem, "cpu", jnp.dtype("float32"))
    mcti_step.check(steps, problem.classes)
    for name, holder in {"a": steps["a"], "b": steps["b"]}.items():
        with monkeypatch.context() as change:
            change.setattr(holder, "label", 1)
            with pytest.raises(RuntimeError, match=rf"\({name}\).*different things"):
                mcti_step.check(steps, problem.classes)
    start = steps["d"].frozen["params"]["projection"]
    steps["d"].frozen["params"]["projection"] = start.at[0].multiply(2)
    with pytest.raises(RuntimeError, match=r"\(d\).*different things"):
        mcti_step.check(steps, problem.classes)
