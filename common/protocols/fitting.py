"""Training of baselines: a compiled scan over batches of row numbers, called in parts."""

from collections.abc import Callable
from functools import partial

import jax
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, PyTree

from common.progress import Progress

Loss = Callable[[PyTree, PyTree, Array], Float[Array, ""]]
"""`loss(params, frozen, rows)` of a batch."""


PARTS = 20
"""Calls that a training is cut into, so that one sees how far it is."""


def fit(
    loss: Loss,
    params: PyTree,
    frozen: PyTree,
    batches: Int[np.ndarray, "s b"],
    optimizer: optax.GradientTransformation,
    name: str,
) -> PyTree:
    """Return the parameters after an update for each row of `batches`; the bar shows `name`."""
    steps = len(batches)
    size = -(-steps // PARTS)
    # The last part is filled up with steps that are left out, so that all parts are one program.
    rows = np.concatenate([batches, batches[: -steps % size]])
    real = np.arange(len(rows)) < steps
    state = params, optimizer.init(params)
    with Progress(steps, f"Training {name}", status="compiling…") as progress:
        for start in range(0, len(rows), size):
            part = slice(start, start + size)
            state = _run(loss, optimizer, state, frozen, rows[part], real[part])
            jax.block_until_ready(state)
            progress.update(min(start + size, steps))
    return state[0]


@partial(jax.jit, static_argnums=(0, 1))
def _run(
    loss: Loss,
    optimizer: optax.GradientTransformation,
    state: PyTree,
    frozen: PyTree,
    batches: Int[Array, "s b"],
    real: Bool[Array, "s"],
) -> PyTree:
    def update(state: PyTree, rows: Array) -> PyTree:
        params, moments = state
        gradient = jax.grad(loss)(params, frozen, rows)
        change, moments = optimizer.update(gradient, moments, params)
        return optax.apply_updates(params, change), moments

    def step(state: PyTree, fed: tuple[Array, Array]) -> tuple[PyTree, None]:
        rows, is_real = fed
        return jax.lax.cond(is_real, update, lambda state, _: state, state, rows), None

    return jax.lax.scan(step, state, (batches, real))[0]
