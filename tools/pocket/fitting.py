"""The optimisation that all stages share: as long as its steps or its seconds last."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct
from jaxtyping import Array, Float, Key

from common.progress import Progress
from common.weights.files import read_tensors, write_tensors
from tools.pocket.recipe import Fit

Loss = Callable[[Any, Any, Key[Array, ""]], Float[Array, ""]]

_SHOW_EVERY = 20
_AVERAGE = 0.999
_WARM_UP = 0.05
_KEPT_EVERY = 60.0


def half(params: Any) -> Any:
    """Return parameters in float16 on the host, as the bundled models hold them."""
    return jax.tree.map(lambda x: np.asarray(x).astype(jnp.float16), params)


@struct.dataclass
class _State:
    params: Any
    average: Any
    moments: Any
    loss: Array


@dataclass(frozen=True)
class Allowance:
    """What a stage may take, and where it keeps its state.

    Attributes:
      seconds: Of training; 0 for all steps, however long they take.
      file: State of an unfinished stage, written once a minute; None keeps none.
    """

    seconds: float = 0.0
    file: Path | None = None


NO_LIMIT = Allowance()


def learning_rate(plan: Fit, progress: float) -> float:
    """Return the rate at a share of the stage: a linear warm-up, then a cosine to zero."""
    if progress < _WARM_UP:
        return plan.rate * progress / _WARM_UP
    return plan.rate * (1 + math.cos(math.pi * (progress - _WARM_UP) / (1 - _WARM_UP))) / 2


def fit(
    name: str,
    loss: Loss,
    params: Any,
    data: Any,
    plan: Fit,
    key: Key[Array, ""],
    allowance: Allowance = NO_LIMIT,
) -> Any:
    """Minimise `loss(params, rows of data, key)` and return the parameters' moving average.

    With an allowance of seconds the rate falls to zero as they run out, so that a stage that is
    cut short ends as smoothly as one that makes all its steps.

    Args:
      name: Title of the progress display.
      loss: Mean loss over a batch; pure.
      params: Where to start; consumed.
      data: Tree of arrays with one leading axis of equal length, kept on the device. Every
        step draws its rows anew.
      plan: Steps, batch size, learning rate.
      key: Of all randomness.
      allowance: Seconds, and the file from which an interrupted stage goes on.
    """
    data = jax.device_put(data)
    rows = len(jax.tree.leaves(data)[0])
    optimizer = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.scale_by_adam(b2=0.99),
        optax.add_decayed_weights(plan.weight_decay, _is_matrix),
    )

    def step(state: _State, data: Any, index: Array, rate: Array) -> _State:
        draw, inner = jax.random.split(jax.random.fold_in(key, index))
        chosen = jax.random.randint(draw, (plan.batch,), 0, rows)
        batch = jax.tree.map(lambda x: x[chosen], data)
        value, gradient = jax.value_and_grad(loss)(state.params, batch, inner)
        updates, moments = optimizer.update(gradient, state.moments, state.params)
        params = jax.tree.map(lambda x, change: x - rate * change, state.params, updates)
        # Short at first, so that the start leaves no trace.
        decay = jnp.minimum(_AVERAGE, (1 + index) / (10 + index))
        average = optax.incremental_update(params, state.average, 1 - decay)
        smooth = jnp.where(index == 0, value, state.loss * 0.98 + value * 0.02)
        return _State(params, average, moments, smooth)

    @partial(jax.jit, donate_argnums=0)
    def steps(state: _State, data: Any, first: Array, rates: Float[Array, " n"]) -> _State:
        # XLA's CPU backend leaves convolutions within a loop to its slowest code.
        if len(rates) == 1:
            return step(state, data, first, rates[0])
        indices = first + jnp.arange(len(rates))
        return jax.lax.scan(
            lambda state, x: (step(state, data, *x), None), state, (indices, rates)
        )[0]

    state = _State(params, jax.tree.map(jnp.copy, params), optimizer.init(params), jnp.zeros(()))
    state, index, spent = _resumed(state, allowance.file)
    # In a loop a GPU need not wait for the host.
    count = 1 if jax.default_backend() == "cpu" else _SHOW_EVERY
    looked = kept = None
    with Progress(plan.steps, name, status="compiling…") as progress:
        while (share := _share(index, plan.steps, spent, allowance.seconds)) < 1:
            rates = np.full(count, learning_rate(plan, share), np.float32)
            state = steps(state, data, jnp.asarray(index), rates)
            index += count
            if index % _SHOW_EVERY and index < plan.steps:
                continue
            progress.update(index, {"loss": float(state.loss)})
            now = time.monotonic()
            if looked is not None:  # What compiling took is not counted.
                spent += now - looked
            looked, kept = now, kept or now
            if allowance.file and now - kept > _KEPT_EVERY:
                _keep(state, index, spent, allowance.file)
                kept = now
    return jax.device_get(state.average)


def _share(index: int, steps: int, spent: float, seconds: float) -> float:
    """Return how much of the stage is over, by steps or by seconds."""
    return max(index / steps, spent / seconds if seconds else 0.0)


def _keep(state: _State, index: int, spent: float, file: Path) -> None:
    leaves = {f"{n}": np.asarray(leaf) for n, leaf in enumerate(jax.tree.leaves(state))}
    clock = {"index": np.asarray(index), "spent": np.asarray(spent)}
    write_tensors(file, leaves | clock)


def _resumed(state: _State, file: Path | None) -> tuple[_State, int, float]:
    """Return the state that the file holds, its step and its seconds; the start without a file."""
    if file is None or not file.exists():
        return state, 0, 0.0
    tensors = read_tensors(file)
    leaves, tree = jax.tree.flatten(state)
    leaves = [jnp.asarray(tensors[f"{n}"]) for n in range(len(leaves))]
    return jax.tree.unflatten(tree, leaves), int(tensors["index"]), float(tensors["spent"])


def _is_matrix(params: Any) -> Any:
    return jax.tree.map(lambda x: x.ndim > 1, params)


def in_batches(function: Callable[..., Any], *arrays: Any, size: int = 500) -> Any:
    """Apply a jitted function to rows of arrays, `size` at a time; results on the host."""
    parts = [
        jax.device_get(function(*(array[start : start + size] for array in arrays)))
        for start in range(0, len(arrays[0]), size)
    ]
    return jax.tree.map(lambda *x: np.concatenate(x), *parts)
