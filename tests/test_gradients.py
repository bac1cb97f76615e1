"""A gradient that was computed already is what autodiff returns."""

import jax
import jax.numpy as jnp
import numpy as np

from common.gradients import with_gradient


def test_the_gradient_is_the_given_one_and_the_value_stays():
    parameters = {"a": jnp.array([1.0, -2.0]), "b": {"c": jnp.array([[3.0]])}}
    gradient = {"a": jnp.array([0.5, 7.0]), "b": {"c": jnp.array([[-0.25]])}}

    def loss(parameters):
        return with_gradient((parameters["a"] ** 2).sum(), parameters, gradient)

    value, actual = jax.jit(jax.value_and_grad(loss))(parameters)
    assert value == 5
    jax.tree.map(np.testing.assert_array_equal, actual, gradient)
