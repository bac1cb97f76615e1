"""The state of a run: everything a step changes, and nothing else."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, NamedSharding
from jaxtyping import PyTree

from common.hosts import REPLICATED
from common.training.sharding import Rules, optimizer_shardings, shardings


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TrainState:
    """What a step takes and returns; also a tree of its shardings.

    Attributes:
      step: Updates made so far, int32 scalar; also the step whose batch comes next.
      trainable: The method's learned tree.
      opt_state: The optimizer's moments and counters.
    """

    step: PyTree
    trainable: PyTree
    opt_state: PyTree


def state_shardings(state: TrainState, rules: Rules, mesh: Mesh) -> TrainState:
    """Return the sharding of every leaf of `state` (abstract will do), by the trainable's rules."""
    return TrainState(
        step=NamedSharding(mesh, REPLICATED),
        trainable=shardings(state.trainable, rules, mesh),
        opt_state=optimizer_shardings(state.opt_state, state.trainable, rules, mesh),
    )


def init_state(trainable: PyTree, optimizer: optax.GradientTransformation) -> TrainState:
    """Return the state before the first step.

    Scalars that were made of Python numbers are "weakly typed" and the step's results are not,
    so that the second call would be compiled anew, and the third for their moments.
    """
    trainable = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.result_type(leaf)), trainable)
    return TrainState(jnp.zeros((), jnp.int32), trainable, optimizer.init(trainable))
