"""How many steps an epoch has, and in which order it shows what."""

import numpy as np
import pytest

from common.protocols.epochs import Sampler, steps_per_epoch


@pytest.mark.parametrize(
    ("pairs", "steps"),
    # The pairs of the reference's files, and how many steps its epochs have.
    [(1500, 5), (380, 1), (8820, 34), (1020, 3), (125, 1), (2550, 9), (2820, 11), (256, 1)],
)
def test_steps_per_epoch(pairs, steps):
    assert steps_per_epoch(pairs, 256) == steps


def test_an_epoch_draws_without_replacement_and_drops_the_rest():
    sampler = Sampler(examples=23, batch=5, seed=1)
    steps = [sampler.rows(step) for step in range(4)]
    assert {len(rows) for rows in steps} == {5}
    drawn = np.concatenate(steps)
    assert len(set(drawn)) == 20
    np.testing.assert_array_equal(sampler.epoch(0), steps)
    assert not np.array_equal(sampler.rows(4), steps[0])  # another epoch, another order
    np.testing.assert_array_equal(Sampler(23, 5, seed=1).rows(3), steps[3])
    assert not np.array_equal(Sampler(23, 5, seed=2).rows(3), steps[3])


def test_too_few_pairs_are_one_short_batch():
    sampler = Sampler(examples=7, batch=256, seed=0)
    assert sampler.per_epoch == 1
    assert sorted(sampler.rows(3)) == list(range(7))
