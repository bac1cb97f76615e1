"""The text tower: causality, pooling, composition, precision."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.clip import Block, TextTower, encode_text, pool_positions

pytestmark = pytest.mark.usefixtures("quick_compiler")


@pytest.fixture
def tower(vit_clip):
    return vit_clip.text_tower


@pytest.fixture
def params(vit_clip):
    return vit_clip.params["text"]


@pytest.fixture
def embeddings(tower):
    shape = (2, 10, tower.config.width)
    return jax.random.normal(jax.random.key(3), shape)


@partial(jax.jit, static_argnums=0)
def apply(tower, params, embeddings, at):
    return tower.apply({"params": params}, embeddings, at)


def run(tower, params, embeddings, at=(4, 6)):
    return apply(tower, params, embeddings, jnp.asarray(at))


def test_outputs(tower, params, embeddings):
    # Not compiled as one program, which may find one number twice and round otherwise.
    output = tower.apply({"params": params}, embeddings, jnp.array([4, 6]))
    assert len(output.hidden_states) == tower.config.layers + 1
    assert {state.shape for state in output.hidden_states} == {(2, 10, 32)}
    assert output.projected.shape == (2, 20)
    np.testing.assert_array_equal(output.pooled[0], output.last_hidden_state[0, 4])
    np.testing.assert_array_equal(output.pooled[1], output.last_hidden_state[1, 6])


def test_cutting_after_the_pooling_position_is_exact(tower, params, embeddings):
    whole = run(tower, params, embeddings)
    cut = run(tower, params, embeddings[:, :7])
    np.testing.assert_allclose(cut.last_hidden_state, whole.last_hidden_state[:, :7], atol=2e-6)
    np.testing.assert_allclose(cut.projected, whole.projected, atol=2e-6)


def test_later_tokens_do_not_reach_earlier_ones(tower, params, embeddings):
    def pooled(e):
        return run(tower, params, e).projected.sum()

    reach = np.abs(jax.jit(jax.grad(pooled))(embeddings)).sum(-1) > 0
    np.testing.assert_array_equal(reach[0], np.arange(10) <= 4)
    np.testing.assert_array_equal(reach[1], np.arange(10) <= 6)


def test_the_first_hidden_state_is_tokens_and_positions(tower, params):
    ids = jnp.array([[3, 1, 4]])
    embeddings = tower.apply({"params": params}, ids, method="embed")
    output = run(tower, params, embeddings, at=[0])
    expected = params["token_embedding"][[3, 1, 4]] + params["position_embedding"][:3]
    np.testing.assert_allclose(output.hidden_states[0][0], expected, rtol=1e-6)


def test_a_method_may_run_the_tower_block_by_block(tower, params, embeddings):
    """As prompts at every layer need it."""
    c = tower.config

    @jax.jit
    def by_blocks(params, embeddings):
        bound = tower.bind({"params": params})
        states = [bound.add_positions(embeddings)]
        for i in range(c.layers):
            block = Block(c.heads, c.mlp_width, c.activation, c.eps, causal=True)
            states.append(block.apply({"params": params[f"block_{i}"]}, states[-1]))
        return bound.finish(tuple(states), jnp.array([4, 6]))

    output = by_blocks(params, embeddings)
    whole = run(tower, params, embeddings)
    np.testing.assert_allclose(output.projected, whole.projected, atol=2e-6)


def test_remat_changes_no_gradient(tower, params, embeddings):
    def loss(e, remat):
        return run(TextTower(tower.config, remat=remat), params, e).projected.sum()

    gradient = jax.jit(jax.grad(loss), static_argnums=1)
    kept, recomputed = (gradient(embeddings, remat) for remat in (False, True))
    np.testing.assert_allclose(recomputed, kept, rtol=1e-5, atol=1e-6)


def test_too_long_a_sequence(tower, params):
    with pytest.raises(ValueError, match="a sequence of 25 exceeds the tower's 24 positions"):
        run(tower, params, jnp.zeros((2, 25, 32)))


def test_bfloat16_stays_close_and_normalises_in_float32(tower, params, embeddings):
    half = jax.tree.map(lambda x: x.astype(jnp.bfloat16), params)
    output = run(TextTower(tower.config, jnp.bfloat16), half, embeddings)
    assert output.projected.dtype == output.hidden_states[0].dtype == jnp.bfloat16
    full = run(tower, params, embeddings).projected
    error = np.abs(output.projected.astype(jnp.float32) - full).max() / np.abs(full).max()
    assert error < 0.03


def test_pooling_at_the_first_end_token_or_the_largest_id():
    eos = 9
    ids = jnp.array([[8, 3, 9, 9, 9], [8, 3, 12, 9, 9]])  # 12 was added to the vocabulary
    np.testing.assert_array_equal(pool_positions(ids, "eos", eos), [2, 3])
    np.testing.assert_array_equal(pool_positions(ids, "argmax", eos), [2, 2])
    with pytest.raises(ValueError, match="pooling 'mean' is neither"):
        pool_positions(ids, "mean", eos)


def test_encode_text_pools_as_the_weights_imply_unless_told(vit_clip):
    clip = vit_clip
    ids = jnp.array([[clip.tokenizer.bos, 3, clip.config.text.vocab_size - 1, 4]])
    ids = jnp.concatenate([ids, jnp.full((1, 2), clip.tokenizer.eos)], axis=1)
    encode = jax.jit(encode_text, static_argnames=("tower", "pool"))
    default, eos, argmax = (
        encode(clip.text_tower, clip.params["text"], ids, pool) for pool in (None, "eos", "argmax")
    )
    np.testing.assert_array_equal(default, eos)
    assert np.abs(default - argmax).max() > 0.1
