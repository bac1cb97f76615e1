"""Layouts of batches, by numpy alone."""

import numpy as np
import pytest

from common.protocols.epochs import Sampler
from protext_jax.packing import Packer, Sizes, suffixes

NOTHING = np.iinfo(np.int32).max
RNG = np.random.default_rng(3)
LENGTHS = RNG.integers(3, 9, 12)
STARTS = np.cumsum(LENGTHS) - LENGTHS
LABEL = RNG.integers(0, 12, 70)


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("batch", [1, 16, 200])
def test_every_pair_and_token_has_one_place(shards, batch):
    sampler = Sampler(len(LABEL), batch, seed=0)
    packer = Packer(Sizes.of([(sampler, 4)], LABEL, LENGTHS, shards), LABEL, LENGTHS, STARTS)
    for step in range(4 * sampler.per_epoch):
        pairs = sampler.rows(step)
        layout = packer(pairs)
        assert sorted(layout.rows[layout.rows < NOTHING]) == sorted(pairs)
        seen = []
        for shard in range(shards):
            own = {name: getattr(layout, name)[shard] for name in vars(layout)}
            for place, end, rows in zip(own["place"], own["end"], own["rows"], strict=True):
                rows, place = rows[rows < NOTHING], place[place < NOTHING]
                if not len(rows):
                    assert end == NOTHING and not len(place)
                    continue
                (label,) = set(LABEL[rows])
                seen.append(label)
                tokens = STARTS[label] + np.arange(LENGTHS[label])
                np.testing.assert_array_equal(own["tokens"][place], tokens)
                assert end == place[-1]
            check_inverse(own["place"], own["slot"])
            check_inverse(own["end"], own["ends"])
        assert sorted(seen) == sorted(set(LABEL[pairs]))


def check_inverse(there, back):
    flat = there.ravel()
    used = np.flatnonzero(flat < NOTHING)
    np.testing.assert_array_equal(back[flat[used]], used)
    assert np.count_nonzero(back < NOTHING) == len(used)


def test_suffixes_are_the_tokens_behind_the_prompts():
    ids = np.array([[9, 1, 2, 3, 4, 10, 0], [9, 1, 2, 5, 10, 0, 0]])
    tokens, position, lengths, starts = suffixes(ids, np.array([5, 4]), length=2)
    assert tokens.tolist() == [3, 4, 10, 5, 10]
    assert position.tolist() == [3, 4, 5, 3, 4]
    assert (lengths.tolist(), starts.tolist()) == ([3, 2], [0, 3])
