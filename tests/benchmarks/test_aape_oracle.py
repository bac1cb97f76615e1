"""Other prompts in h(x)'s place: what each of them is."""

import numpy as np

from aape_jax.classification import testsets
from aape_jax.classification.bank import Bank
from aape_jax.core.generator import Generator
from aape_jax.core.head import Head
from aape_jax.core.projection import Projection
from benchmarks.aape_oracle import PROMPTS, with_prompts
from common.evaluation.classification import accuracy
from tests.aape.problem import KEY, WIDTH, disturbed, vectors

WITH_G = Head(Generator(), Projection())
CLASSES, PHOTOS = 4, 40
W, MEANS, X = (vectors(n, WIDTH, seed=seed) for n, seed in ((4, 1), (4, 2), (40, 3)))
BANK = Bank(W, MEANS[:, None], np.ones((CLASSES, 1), bool))
TEST = testsets.TestSet(("a", "b", "c", "d"), BANK, X, np.arange(PHOTOS) % CLASSES)


def test_a_projection_of_zero_reads_none_of_them():
    found = with_prompts(WITH_G, WITH_G.init(KEY, WIDTH), TEST)
    zero_shot = accuracy((X @ W.T).argmax(axis=1), TEST.labels)
    assert found == dict.fromkeys(PROMPTS, zero_shot)


def test_each_is_what_it_is_called():
    params = disturbed(WITH_G.init(KEY, WIDTH), size=1.0)
    params["generator"]["up"] = np.zeros_like(params["generator"]["up"])
    found = with_prompts(WITH_G, params, TEST)
    assert found["own"] == found["none"] == found["mean"] == found["stranger"]
    # With h = 0 everywhere only the oracle says something.
    assert found["oracle"] != found["none"]
