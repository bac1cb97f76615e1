"""Training of what stands beside methods."""

import numpy as np
import optax

from common.protocols.epochs import Sampler
from common.protocols.fitting import fit


def test_fit_makes_one_update_for_each_batch():
    batches = Sampler(examples=10, batch=4, seed=0).steps(47)
    assert batches.shape == (47, 4)
    assert len(set(batches[:2].ravel().tolist())) == 8

    def loss(value, frozen, rows):
        return value * frozen[rows].sum()

    numbers = np.arange(10, dtype=np.float32)
    found = fit(loss, np.float32(0), numbers, batches, optax.sgd(1.0), "a sum")
    assert float(found) == -numbers[batches].sum()
