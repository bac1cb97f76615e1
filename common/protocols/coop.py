"""The training of CoOp (arXiv 2109.01134) and CoCoOp (2203.05557), which stand beside methods.

What their contexts start as and which text tower they run through is each method's own.
"""

from collections.abc import Callable

import optax
from jaxtyping import Array

RATE, MOMENTUM, WEIGHT_DECAY = 2e-3, 0.9, 5e-4


def coop_sgd(
    rate: Callable[[Array], Array], momentum: float = MOMENTUM, weight_decay: float = WEIGHT_DECAY
) -> optax.GradientTransformation:
    """Return SGD as PyTorch does it: the decay is part of the gradient that the momentum sees."""
    return optax.chain(optax.add_decayed_weights(weight_decay), optax.sgd(rate, momentum))
