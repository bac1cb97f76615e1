"""The prompted tower against NumPy, and what it must refuse."""

import functools

import jax
import numpy as np
import pytest

from protext_jax.fast import packed_features
from protext_jax.tower import prompted_features
from tests.protext import plain
from tests.protext.tiny import QUICK, TEXT, make_problem

pytestmark = pytest.mark.usefixtures("quick_compiler")


@pytest.fixture(scope="module")
def problem():
    return make_problem(length=4, depth=2)


@pytest.fixture(scope="module")
def wanted(problem):
    features = [
        plain.feature(TEXT, problem.params, ids, problem.prompts[0].astype(np.float64))
        for ids in problem.ids
    ]
    return np.stack(features)


def test_the_plain_tower(problem, wanted):
    run = jax.jit(functools.partial(prompted_features, problem.tower), compiler_options=QUICK)
    found = run(problem.params, problem.prompts[0], problem.ids, problem.end)
    np.testing.assert_allclose(found, wanted, atol=2e-6)
    # Columns behind every end change nothing.
    shortest = problem.ids[:, : problem.end.max() + 1]
    found = run(problem.params, problem.prompts[0], shortest, problem.end)
    np.testing.assert_allclose(found, wanted, atol=2e-6)


def test_the_packed_tower(problem, wanted):
    layout = problem.batches(shards=1).batch(0)["layout"]
    layout = jax.tree.map(lambda x: x[0, 0], layout)
    frozen = problem.frozen()
    run = jax.jit(functools.partial(packed_features, problem.tower), compiler_options=QUICK)
    found = run(frozen["text"], problem.prompts[0], frozen["suffix"], frozen["start"], layout)
    for feature, rows in zip(np.asarray(found), layout.rows, strict=True):
        if rows[0] < len(problem.label):
            np.testing.assert_allclose(feature, wanted[problem.label[rows[0]]], atol=2e-6)
