"""Random weights for any family of CLIP."""

import jax
import numpy as np

from common.clip.checkpoint import abstract_params


def random_weights(config):
    """Parameters of a CLIP; norms near the identity."""
    rng = np.random.default_rng(0)

    def weights(path, leaf):
        around_one = str(path[-1].key) == "scale"
        return rng.normal(around_one, 0.1, leaf.shape).astype(np.float32)

    return jax.tree.map_with_path(weights, abstract_params(config))
