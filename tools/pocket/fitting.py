"""The optimisation loop that the three stages share."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct
from jaxtyping import Array, Float, Key

from common.progress import Progress
from tools.pocket.recipe import Fit

Loss = Callable[[Any, Any, Key[Array, ""]], Float[Array, ""]]

_SHOW_EVERY = 20
_AVERAGE = 0.999


@struct.dataclass
class _State:
    params: Any
    average: Any
    moments: Any
    loss: Array


def fit(name: str, loss: Loss, params: Any, data: Any, plan: Fit, key: Key[Array, ""]) -> Any:
    """Minimise `loss(params, rows of data, key)` and return the parameters' moving average.

    Args:
      name: Title of the progress display.
      loss: Mean loss over a batch; pure.
      params: Where to start; consumed.
      data: Tree of arrays with one leading axis of equal length, kept on the device. Every
        step draws its rows anew.
      plan: Steps, batch size, learning rate.
      key: Of all randomness.
    """
    data = jax.device_put(data)
    rows = len(jax.tree.leaves(data)[0])
    rate = optax.warmup_cosine_decay_schedule(0.0, plan.rate, plan.steps // 20, plan.steps)
    optimizer = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adamw(rate, b2=0.99, weight_decay=plan.weight_decay, mask=_is_matrix),
    )

    @partial(jax.jit, donate_argnums=0)
    def step(state: _State, data: Any, index: Array) -> _State:
        draw, inner = jax.random.split(jax.random.fold_in(key, index))
        chosen = jax.random.randint(draw, (plan.batch,), 0, rows)
        batch = jax.tree.map(lambda x: x[chosen], data)
        value, gradient = jax.value_and_grad(loss)(state.params, batch, inner)
        updates, moments = optimizer.update(gradient, state.moments, state.params)
        params = optax.apply_updates(state.params, updates)
        # Short at first, so that the start leaves no trace.
        decay = jnp.minimum(_AVERAGE, (1 + index) / (10 + index))
        average = optax.incremental_update(params, state.average, 1 - decay)
        smooth = jnp.where(index == 0, value, state.loss * 0.98 + value * 0.02)
        return _State(params, average, moments, smooth)

    state = _State(params, jax.tree.map(jnp.copy, params), optimizer.init(params), jnp.zeros(()))
    with Progress(plan.steps, name, status="compiling…") as progress:
        for index in range(plan.steps):
            state = step(state, data, jnp.asarray(index))
            if (index + 1) % _SHOW_EVERY == 0:
                progress.update(index + 1, {"loss": float(state.loss)})
    return jax.device_get(state.average)


def _is_matrix(params: Any) -> Any:
    return jax.tree.map(lambda x: x.ndim > 1, params)


def in_batches(function: Callable[..., Any], *arrays: Any, size: int = 500) -> Any:
    """Apply a jitted function to rows of arrays, `size` at a time; results on the host."""
    parts = [
        jax.device_get(function(*(array[start : start + size] for array in arrays)))
        for start in range(0, len(arrays[0]), size)
    ]
    return jax.tree.map(lambda *x: np.concatenate(x), *parts)
