"""Training of baselines: one compiled scan over batches of row numbers."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PyTree

Loss = Callable[[PyTree, PyTree, Array], Float[Array, ""]]
"""`loss(params, frozen, rows)` of a batch."""


def fit(
    loss: Loss,
    params: PyTree,
    frozen: PyTree,
    batches: Int[np.ndarray, "s b"],
    optimizer: optax.GradientTransformation,
) -> PyTree:
    """Parameters after one update for each row of `batches`."""
    return _run(loss, optimizer, params, frozen, jnp.asarray(batches))


@partial(jax.jit, static_argnums=(0, 1))
def _run(
    loss: Loss,
    optimizer: optax.GradientTransformation,
    params: PyTree,
    frozen: PyTree,
    batches: Array,
) -> PyTree:
    def step(carry: tuple[PyTree, PyTree], rows: Array) -> tuple[tuple[PyTree, PyTree], None]:
        params, state = carry
        gradient = jax.grad(loss)(params, frozen, rows)
        change, state = optimizer.update(gradient, state, params)
        return (optax.apply_updates(params, change), state), None

    (params, _), _ = jax.lax.scan(step, (params, optimizer.init(params)), batches)
    return params


def epoch_batches(examples: int, batch: int, steps: int, seed: int) -> Int[np.ndarray, "{steps} b"]:
    """Rows of each step: every epoch is a new permutation, its rest is left out."""
    batch = min(batch, examples)
    an_epoch = examples // batch
    rows = [
        np.random.default_rng((seed, epoch)).permutation(examples)[: an_epoch * batch]
        for epoch in range(-(-steps // an_epoch))
    ]
    return np.concatenate(rows).reshape(-1, batch)[:steps].astype(np.int32)
