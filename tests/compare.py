"""How far arrays are from others, and whether trees of them are the same."""

import jax
import numpy as np


def relative_error(actual, desired):
    """The largest difference over the largest value; `desired` may be a tensor of PyTorch's."""
    desired = desired.detach().numpy() if hasattr(desired, "detach") else np.asarray(desired)
    actual = np.asarray(actual)
    assert actual.shape == desired.shape
    return np.abs(actual - desired).max() / np.abs(desired).max()


def same(one, other):
    """Whether two trees hold the same bits."""
    return jax.tree.all(jax.tree.map(np.array_equal, one, other))
