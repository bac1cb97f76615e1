"""The image towers: shapes and sizes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.clip import ViTConfig, encode_image
from common.clip.layers import ACTIVATIONS, LayerNorm
from common.clip.resnet import AttentionPool, FrozenBatchNorm

pytestmark = pytest.mark.usefixtures("quick_compiler")


def test_outputs(clip):
    size = clip.config.vision.image_size
    pixels = jax.random.normal(jax.random.key(0), (2, size, size, 3))
    run = jax.jit(lambda params, x: clip.image_tower.apply({"params": params}, x))
    output = run(clip.params["vision"], pixels)
    assert output.features.shape == (2, 20)
    last = output.hidden_states[-1]
    if isinstance(clip.config.vision, ViTConfig):
        assert output.grid.shape == (2, 3, 3, 36)
        np.testing.assert_array_equal(output.grid.reshape(2, 9, 36), last[:, 1:])
        assert len(output.hidden_states) == 3
    else:
        assert output.grid.shape == (2, 2, 2, 256)
        np.testing.assert_array_equal(output.grid, last)
        assert [state.shape[1] for state in output.hidden_states] == [16, 16, 8, 4, 2]
    encode = jax.jit(encode_image, static_argnums=0)
    features = encode(clip.image_tower, clip.params["vision"], pixels)
    np.testing.assert_allclose(features, output.features, rtol=1e-5, atol=1e-5)


def test_the_grid_is_in_reading_order(vit_clip):
    """Only the cell that sees the changed corner of the image starts out different."""
    clip = vit_clip
    pixels = jnp.zeros((1, 24, 24, 3))
    changed = pixels.at[:, 0:8, 16:24].set(1)  # top right
    run = jax.jit(lambda x: clip.image_tower.apply({"params": clip.params["vision"]}, x))
    states = [run(x).hidden_states[0] for x in (pixels, changed)]
    moved = np.abs(states[0] - states[1]).max(-1)[0, 1:].reshape(3, 3) > 0
    np.testing.assert_array_equal(moved, [[0, 0, 1], [0, 0, 0], [0, 0, 0]])


def test_a_vit_may_be_run_block_by_block(vit_clip):
    tower, variables = vit_clip.image_tower, {"params": vit_clip.params["vision"]}

    def run(tower, pixels):
        states = [tower.embed(pixels)]
        for block in tower.block:
            states.append(block(states[-1]))
        return tower.finish(tuple(states))

    pixels = jax.random.normal(jax.random.key(0), (2, 24, 24, 3))
    opened = jax.jit(lambda x: tower.apply(variables, x, method=run))(pixels)
    whole = jax.jit(lambda x: tower.apply(variables, x))(pixels)
    jax.tree.map(np.testing.assert_array_equal, opened, whole)


def test_wrong_image_size(clip):
    size = clip.config.vision.image_size
    with pytest.raises(ValueError, match=f"32 x 40 pixels; the tower takes {size} x {size}"):
        clip.image_tower.apply({"params": clip.params["vision"]}, jnp.zeros((1, 32, 40, 3)))


def test_layer_norm_by_hand():
    params = {"scale": jnp.array([1.0, 2.0]), "bias": jnp.array([0.0, 10.0])}
    y = LayerNorm(eps=3.0).apply({"params": params}, jnp.array([[2.0, 4.0]]))
    # mean 3, variance 1, divided by sqrt(1 + 3)
    np.testing.assert_allclose(y, [[-0.5, 11.0]])


def test_layer_norm_computes_in_float32():
    x = jnp.array([[256, 258, 260, 262]], jnp.bfloat16)  # whose mean bfloat16 lacks
    params = {"scale": jnp.ones(4), "bias": jnp.zeros(4)}
    y = LayerNorm(1e-5, jnp.bfloat16).apply({"params": params}, x)
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(y.astype(jnp.float32), [[-1.34, -0.447, 0.447, 1.34]], atol=5e-3)


def test_batch_norm_by_hand():
    params = {"scale": [2.0], "bias": [1.0], "mean": [3.0], "variance": [0.25]}
    params = {name: jnp.array(value) for name, value in params.items()}
    x = jnp.full((1, 1, 1, 1), 4.0)
    y = FrozenBatchNorm(eps=0.0).apply({"params": params}, x)
    np.testing.assert_allclose(y, np.full((1, 1, 1, 1), 2.0 / 0.5 + 1.0))


def test_attention_pool_of_equal_cells_is_that_cell():
    pool = AttentionPool(heads=2, projection=4)
    grid = jnp.broadcast_to(jnp.array([1.0, 2.0, 3.0, 4.0]), (1, 2, 2, 4))
    eye = {"kernel": jnp.eye(4), "bias": jnp.zeros(4)}
    params = dict.fromkeys(("query", "key", "value", "out"), eye)
    params["position_embedding"] = jnp.zeros((5, 4))
    for pooled in jax.jit(pool.apply)({"params": params}, grid):
        np.testing.assert_allclose(pooled, grid[:, 0, 0], rtol=1e-6)


def test_activations_by_hand():
    np.testing.assert_allclose(ACTIVATIONS["quick_gelu"](jnp.array([1.0])), 0.845795, rtol=1e-5)
    np.testing.assert_allclose(ACTIVATIONS["gelu"](jnp.array([1.0])), 0.841345, rtol=1e-5)
