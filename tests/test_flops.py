import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from common.flops import count_flops

X = np.zeros((8, 16), np.float32)
W = np.zeros((16, 16), np.float32)
PRODUCT = 2 * 8 * 16 * 16


def count(function, *arguments):
    return count_flops(jax.jit(function).trace(*arguments).jaxpr)


def count_tiles(function, *arguments):
    *arrays, tile = arguments
    return count_flops(jax.jit(function).trace(*arrays).jaxpr, tile)


def test_a_product_and_its_gradient():
    assert count(lambda x, w: x @ w, X, W) == PRODUCT
    assert count(jax.grad(lambda x, w: jnp.sum((x @ w) ** 2)), X, W) == 2 * PRODUCT


def test_a_batched_product():
    stack = np.zeros((3, 8, 16), np.float32)
    assert count(lambda a: jnp.einsum("bij,bkj->bik", a, a), stack) == 3 * 2 * 8 * 8 * 16


def test_tiles_are_filled_up():
    """Heads of 40 take as long as 128: in the sum of one product, in the columns of the other."""
    query = np.zeros((2, 256, 40), np.float32)
    scores = functools.partial(count_tiles, lambda q: jnp.einsum("bqd,bkd->bqk", q, q), query)
    assert (scores(1), scores(128)) == (2 * 2 * 256 * 256 * 40, 2 * 2 * 256 * 256 * 128)
    weights = np.zeros((2, 256, 256), np.float32)
    mix = functools.partial(
        count_tiles, lambda w, v: jnp.einsum("bqk,bkd->bqd", w, v), weights, query
    )
    assert (mix(1), mix(128)) == (2 * 2 * 256 * 256 * 40, 2 * 2 * 256 * 256 * 128)
    image, kernel = np.zeros((1, 8, 8, 4), np.float32), np.zeros((3, 3, 4, 130), np.float32)
    numbers = ("NHWC", "HWIO", "NHWC")
    convolve = functools.partial(
        lax.conv_general_dilated, window_strides=(1, 1), padding="SAME", dimension_numbers=numbers
    )
    assert count_tiles(convolve, image, kernel, 1) == 2 * 64 * 36 * 130
    assert count_tiles(convolve, image, kernel, 128) == 2 * 64 * 128 * 256


def test_loops_count_as_often_as_they_run():
    assert count(lambda x, w: lax.scan(lambda x, _: (x @ w, None), x, length=5), X, W) == (
        5 * PRODUCT
    )


def test_the_most_expensive_branch_counts():
    def branches(x, w):
        return lax.cond(x[0, 0] > 0, lambda: x @ w @ w, lambda: x @ w)

    assert count(branches, X, W) == 2 * PRODUCT


def test_recomputation_counts():
    def error(w, x):
        return jnp.sum(jnp.tanh(jnp.tanh(x @ w) @ w))

    plain, again = count(jax.grad(error), W, X), count(jax.grad(jax.checkpoint(error)), W, X)
    assert plain == 5 * PRODUCT
    assert again > plain


@pytest.mark.parametrize(("strides", "side"), [((1, 1), 8), ((2, 2), 4)])
def test_a_convolution_and_its_gradient(strides, side):
    image = np.zeros((2, 8, 8, 3), np.float32)
    kernel = np.zeros((3, 3, 3, 5), np.float32)

    def convolve(image):
        numbers = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(image, kernel, strides, "SAME", dimension_numbers=numbers)

    forward = 2 * (2 * side * side * 5) * (3 * 3 * 3)
    assert count(convolve, image) == forward
    # The gradient by the image is a convolution of the same arithmetic.
    assert count(jax.grad(lambda image: jnp.sum(convolve(image) ** 2)), image) == 2 * forward


def test_every_device_of_a_shard_map_counts():
    mesh = jax.make_mesh((4, 2), ("data", "model"), (AxisType.Auto,) * 2)

    def sharded(x, w):
        return jax.shard_map(
            lambda x, w: x @ w, in_specs=(P("data"), P()), out_specs=P("data"), axis_names={"data"}
        )(x, w)

    with jax.set_mesh(mesh):
        assert count(sharded, X, W) == PRODUCT


def test_every_block_of_a_kernel_counts():
    from jax.experimental import pallas as pl

    def kernel(x, w, out):
        out[...] = x[...] @ w[...]

    def blocks(x, w):
        return pl.pallas_call(
            kernel,
            grid=(4,),
            in_specs=[
                pl.BlockSpec((2, 16), lambda i: (i, 0)),
                pl.BlockSpec((16, 16), lambda i: (0, 0)),
            ],
            out_specs=pl.BlockSpec((2, 16), lambda i: (i, 0)),
            out_shape=jax.ShapeDtypeStruct((8, 16), jnp.float32),
        )(x, w)

    assert count(blocks, X, W) == PRODUCT
