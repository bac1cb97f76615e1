"""The start of a run: the state before the first step, on the devices."""

import jax
from jax.sharding import Mesh, NamedSharding

from common.hosts import REPLICATED, place
from common.seeds import random_key, seed_key, seed_words
from common.training.method import Method
from common.training.state import TrainState, init_state, state_shardings


def initial_state(method: Method, seed: int, mesh: Mesh) -> tuple[TrainState, jax.Array]:
    """Return the state before the first step and the key of all steps, on the devices."""
    # Kilobytes, so the tree is made by every host and moved, which lets a method compute it
    # as it likes.
    state = init_state(method.init(random_key(seed)), method.optimizer())
    state = place(state, state_shardings(state, method.trainable_rules, mesh))
    make_key = jax.jit(
        lambda words: jax.random.fold_in(seed_key(words), 1),
        out_shardings=NamedSharding(mesh, REPLICATED),
    )
    return state, make_key(seed_words(seed))
