"""Updates of the learned vectors: who moves, by how much, and who does not."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mcti_jax.method import MCTI
from tests.mcti.problem import problem
from tests.mcti.tiny import settings

SEED = np.random.default_rng(0)


def test_every_vector_of_every_class_moves():
    """All n vectors are in the prompt; a token of which only the first learns is not a token."""
    tiny = problem(alpha=0.0, vectors=3)
    program, (trainable, *others) = tiny.compiled()
    optimizer = optax.sgd(0.1)
    moments = optimizer.init(trainable)
    for _ in range(2):
        _, gradient = program(trainable, *others)
        change, moments = optimizer.update(gradient, moments)
        trainable = jax.device_put(
            optax.apply_updates(trainable, change), trainable["tokens"].sharding
        )
    moved = np.linalg.norm(trainable["tokens"] - tiny.tokens, axis=-1)
    assert moved.shape == (5, 3)
    assert moved.min() > 1e-3


def updates(optimizer, parameters, gradients):
    """All states that the optimizer goes through."""
    state, found = optimizer.init(parameters), []
    for gradient in gradients:
        change, state = optimizer.update(gradient, state, parameters)
        parameters = optax.apply_updates(parameters, change)
        found.append((parameters, state))
    return found


def test_optimizer_is_adamw_with_the_recipes_numbers():
    """Rate 5e-4 times 4 samples; decoupled decay 1e-2; eps outside the root; no clipping."""
    gradients = SEED.normal(0, 30, (3, 2, 1, 8))
    vectors = SEED.standard_normal((2, 1, 8))
    found = updates(
        MCTI(settings()).optimizer(),
        jnp.asarray(vectors, jnp.float32),
        jnp.asarray(gradients, jnp.float32),
    )
    first, second = np.zeros_like(vectors), np.zeros_like(vectors)
    for count, (gradient, (parameters, _)) in enumerate(zip(gradients, found, strict=True), 1):
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        root = np.sqrt(second / (1 - 0.999**count)) + 1e-8
        vectors = vectors * (1 - 2e-3 * 1e-2) - 2e-3 * first / (1 - 0.9**count) / root
        np.testing.assert_allclose(parameters, vectors, rtol=2e-6, atol=2e-7)


def test_learned_rows_alone_are_bitwise_a_restored_full_table():
    """The reference updates the whole table and puts all other rows back, step by step."""
    optimizer = MCTI(settings()).optimizer()
    table = SEED.standard_normal((50, 8)).astype(np.float32)
    gradients = SEED.standard_normal((20, 50, 8)).astype(np.float32)
    whole, state = jnp.asarray(table), optimizer.init(jnp.asarray(table))
    for gradient in gradients:
        change, state = optimizer.update(jnp.asarray(gradient), state, whole)
        whole = jnp.asarray(table).at[7].set(optax.apply_updates(whole, change)[7])
    rows, alone = updates(optimizer, jnp.asarray(table[7:8]), jnp.asarray(gradients[:, 7:8]))[-1]
    np.testing.assert_array_equal(rows[0], whole[7])
    for moment in ("mu", "nu"):
        np.testing.assert_array_equal(getattr(alone[0], moment)[0], getattr(state[0], moment)[7])


@pytest.mark.parametrize("weight_decay", [0.0, 1e-2])
def test_weight_decay_shrinks_what_has_no_gradient(weight_decay):
    """A factor of 0.940 over the recipe's 3100 updates."""
    optimizer = MCTI(settings(weight_decay=weight_decay)).optimizer()

    def step(state, _):
        vectors, moments = state
        change, moments = optimizer.update(jnp.zeros_like(vectors), moments, vectors)
        return (optax.apply_updates(vectors, change), moments), None

    vectors = jnp.ones((1, 1, 4))
    (vectors, _), _ = jax.lax.scan(step, (vectors, optimizer.init(vectors)), length=3100)
    np.testing.assert_allclose(vectors, 0.940 if weight_decay else 1.0, atol=5e-4)
