"""The training of CoOp (arXiv 2109.01134) and CoCoOp (2203.05557), which stand beside methods.

What their contexts start as and which text tower they run through is each method's own.
"""

from collections.abc import Callable

import optax
from jaxtyping import Array

from common.data.coop_sets import IMAGENET

RATE, MOMENTUM, WEIGHT_DECAY = 2e-3, 0.9, 5e-4
WARMUP_EPOCHS, WARMUP_RATE = 1, 1e-5
"""The rate of the first epoch, behind which it falls as a cosine, epoch by epoch."""

_EPOCHS = ((2, 50), (5, 100))  # below so many shots, so many epochs
_MOST_EPOCHS = 200
_IMAGENET_EPOCHS = 50


def epochs_by_shots(shots: int, dataset: str = "") -> int:
    """Return how long CoOp trains.

    Args:
      shots: Photos per class; 0 for all of them.
      dataset: The name of one of CoOp's data sets, or "": on ImageNet the shots do not matter.
    """
    if dataset == IMAGENET:
        return _IMAGENET_EPOCHS
    return next((count for below, count in _EPOCHS if 0 < shots < below), _MOST_EPOCHS)


def coop_sgd(
    rate: Callable[[Array], Array], momentum: float = MOMENTUM, weight_decay: float = WEIGHT_DECAY
) -> optax.GradientTransformation:
    """Return SGD as PyTorch does it: the decay is part of the gradient that the momentum sees."""
    return optax.chain(optax.add_decayed_weights(weight_decay), optax.sgd(rate, momentum))
