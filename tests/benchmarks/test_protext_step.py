"""The benchmark of ProText's step: that it compares like with like, and says so when not."""

import gzip
import json
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from benchmarks import protext_problem, protext_step
from benchmarks.protext_tables import show
from common.errors import UserError
from common.training.mesh import make_mesh


@pytest.fixture
def options(tmp_path):
    """A tower of two blocks and twelve sentences about three classes."""
    names = ("red", "blue", "green sky")
    corpus = {name: [f"{name} number {k}." for k in "abcd"] for name in names}
    content = gzip.compress(json.dumps(corpus).encode())
    (tmp_path / f"{protext_problem.CASES['eurosat'].file}.json.gz").write_bytes(content)
    return SimpleNamespace(
        texts=str(tmp_path), size="tiny", batch=8, check_pairs=4, repeats=1, steps_per_call=2
    )


def test_texts_that_are_not_there(tmp_path):
    with pytest.raises(UserError, match="--texts"):
        protext_problem.make_problem("dtd", "small", tmp_path)


@pytest.mark.reference
def test_all_three_steps_agree_and_are_timed(options, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(protext_step, "machine_rate", lambda: 1e9)
    with jax.set_mesh(make_mesh(1, 1)):
        found = protext_step.measure("eurosat", options)
    text = show({"eurosat": json.loads(json.dumps(found))})
    rows = [line.split("|")[2:4] for line in text.splitlines() if line.startswith("| eurosat")]
    assert [step[1:4] for step, _ in rows[:3]] == ["(a)", "(b)", "(c)"]
    assert all(float(seconds) > 0 for _, seconds in rows[:3])
    flops = found["flops"]
    # (a) encodes every sentence anew: a forward pass more, of three.
    assert flops["a"] == pytest.approx(1.5 * flops["b"], rel=0.2)
    assert flops["c"] < flops["b"] / 10


@pytest.mark.reference
def test_steps_that_compute_different_things_are_refused():
    steps = {
        "reference": lambda: (1.0, np.ones(3)),
        "b": SimpleNamespace(differentiate=lambda: (1.0, np.ones(3))),
        "c": SimpleNamespace(differentiate=lambda: (1.0, 1.01 * np.ones(3))),
    }
    with pytest.raises(RuntimeError, match=r"\(c\) and \(a\) differ"):
        protext_step.check(steps)
