"""The training step: many updates in one compiled call."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding
from jaxtyping import Array, Bool, PyTree

from common.hosts import REPLICATED
from common.training.sharding import Rules, by_path, shardings
from common.training.state import TrainState
from common.training.types import Learner, Source

UNUSED = -1
"""The step number of a slot that a short call leaves empty."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Feed:
    """What one call reads, stacked along a leading axis of slots; also a tree of its shardings.

    Attributes:
      steps: The step of each slot, int32 [slots]; `UNUSED` in slots without one.
      batches: The source's batches of these steps.
    """

    steps: PyTree
    batches: PyTree


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class CallResult:
    """What one call tells the host.

    Attributes:
      step: The state's step after the call, int32 scalar; short of the last one if a step
        was refused.
      count: Steps that were tried, int32 scalar.
      sums: The loss and each metric, summed over the steps that were tried.
    """

    step: PyTree
    count: PyTree
    sums: dict[str, PyTree]


Call = Callable[[TrainState, PyTree, jax.Array, Feed], tuple[TrainState, CallResult]]


def make_feed(source: Source, steps: range, slots: int) -> Feed:
    """Stack the batches of `steps` into `slots` slots, on the host."""
    batches = [source.batch(step) for step in steps]
    unused = slots - len(batches)
    numbers = np.array([*steps, *[UNUSED] * unused], np.int32)
    # Shapes stay as they are, so a short call runs the program that is compiled already.
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *batches, *batches[-1:] * unused)
    return Feed(numbers, stacked)


def feed_shardings(feed: Feed, rules: Rules, mesh: Mesh) -> Feed:
    """Return the sharding of every leaf of `feed`; `rules` are for a batch, without the slots."""
    behind_slots = [(pattern, jax.P(None, *spec)) for pattern, spec in rules]
    return Feed(NamedSharding(mesh, REPLICATED), shardings(feed.batches, behind_slots, mesh))


def make_call(method: Learner, state_shardings: TrainState, mesh: Mesh) -> Call:
    """Compile `call(state, frozen, key, feed) -> (state, report)`; `state` is donated.

    A batch updates only a state that stands at the batch's step. This one invariant carries
    two rules: unused slots do nothing, and once a step is refused (its loss or the updated
    values are not finite) the state stays where it is, through this call and the next one,
    which is on its way before the host hears of it.
    """
    optimizer = method.optimizer()
    value_and_grad = jax.value_and_grad(method.loss, has_aux=True)

    def update(state: TrainState, frozen: PyTree, batch: PyTree, key: jax.Array):
        (loss, metrics), grads = value_and_grad(state.trainable, frozen, batch, key)
        changes, opt_state = optimizer.update(grads, state.opt_state, state.trainable)
        trainable = optax.apply_updates(state.trainable, changes)
        return TrainState(state.step + 1, trainable, opt_state), {"loss": loss, **metrics}

    def call(state: TrainState, frozen: PyTree, key: jax.Array, feed: Feed):
        def slot(state: TrainState, item: tuple[Array, PyTree]):
            step, batch = item
            updated, metrics = update(state, frozen, batch, jax.random.fold_in(key, step))
            tried = state.step == step
            accepted = tried & _finite((metrics["loss"], updated.trainable))
            state = jax.tree.map(lambda new, old: jnp.where(accepted, new, old), updated, state)
            counted = {
                name: jnp.where(tried, value, 0).astype(jnp.float32)
                for name, value in metrics.items()
            }
            return state, (tried, counted)

        state, (tried, metrics) = jax.lax.scan(slot, state, (feed.steps, feed.batches))
        sums = {name: values.sum() for name, values in metrics.items()}
        return state, CallResult(state.step, tried.sum(), sums)

    everywhere = NamedSharding(mesh, REPLICATED)
    return jax.jit(call, donate_argnums=0, out_shardings=(state_shardings, everywhere))


def _finite(tree: PyTree) -> Bool[Array, ""]:
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in by_path(tree).values()]).all()
