"""A learned token for tests of files."""

import numpy as np

from mcti_jax.formats import LearnedToken

METADATA = {"class": "dog 2", "base_model": "pocket", "step": "300", "gamma": "1.0"}


def some_token(word="<dog2>", vectors=1, width=8):
    values = np.random.default_rng(len(word)).normal(size=(vectors, width))
    return LearnedToken(word, values.astype(np.float32), METADATA)
