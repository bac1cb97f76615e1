"""Seeds of 64 bits: their keys, and their bounds."""

import jax
import numpy as np
from jaxtyping import Array, Key, UInt32
from ml_collections import ConfigDict

from common.checks import Range, check_ranges
from common.values import flatten

SEEDS = Range(0, 2**64 - 1)
"""The lowest and the highest."""


def seed_words(seed: int) -> np.ndarray:
    """Return the two halves of a seed; `jax.random.key` by itself keeps the lower one."""
    return np.array(divmod(seed, 2**32), np.uint32)


def seed_key(words: UInt32[Array, "2"] | UInt32[np.ndarray, "2"]) -> Key[Array, ""]:
    """Return the key of `seed_words`, which for seeds below 2**32 is that of `jax.random.key`."""
    return jax.random.wrap_key_data(words, impl="threefry2x32")


def random_key(seed: int) -> Key[Array, ""]:
    """Return the key of a seed up to 2**64 - 1: `jax.random.key`, but for the upper half."""
    return seed_key(seed_words(seed))


def check_seeds(config: ConfigDict) -> None:
    """Refuse seeds out of bounds: the fields whose names end in "seed".

    Raises:
      UserError: A seed is out of bounds.
    """
    check_ranges(config, {name: SEEDS for name in flatten(config) if name.endswith("seed")})
