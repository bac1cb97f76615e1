import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from common.errors import UserError
from common.hosts import place, to_host
from common.training.mesh import make_mesh
from common.training.sharding import by_path, optimizer_shardings, shardings

RULES = (("text/.*kernel", jax.P(None, "model")), ("tokens", jax.P("data")))


@pytest.fixture
def mesh():
    return make_mesh(4, 2)


def specs(tree) -> dict:
    return {path: sharding.spec for path, sharding in by_path(tree).items()}


def test_paths():
    tree = {"a": [1, {"b": 2}], "c": (3,)}
    assert by_path(tree) == {"a/0": 1, "a/1/b": 2, "c/0": 3}


def test_the_first_rule_that_matches_the_whole_path(mesh):
    tree = {
        "text": {"block_0": {"kernel": np.zeros((3, 4)), "bias": np.zeros(4)}},
        "tokens": np.zeros((8, 2)),
        "old_tokens": np.zeros((8, 2)),
        "tokens_old": np.zeros((8, 2)),
    }
    assert specs(shardings(tree, RULES, mesh)) == {
        "text/block_0/kernel": jax.P(None, "model"),
        "text/block_0/bias": jax.P(),
        "tokens": jax.P("data"),
        "old_tokens": jax.P(),
        "tokens_old": jax.P(),
    }
    first = (("tokens", jax.P("model")), *RULES)
    assert specs(shardings(tree, first, mesh))["tokens"] == jax.P("model")


def test_abstract_leaves_will_do(mesh):
    tree = {"tokens": jax.ShapeDtypeStruct((8, 2), jnp.float32)}
    assert specs(shardings(tree, RULES, mesh)) == {"tokens": jax.P("data")}


def test_uneven_shares_are_refused(mesh):
    with pytest.raises(UserError, match=r"'tokens' of shape \(6, 2\).* 4 devices cannot share 6"):
        shardings({"tokens": np.zeros((6, 2))}, RULES, mesh)
    with pytest.raises(UserError, match="8 devices cannot share 12"):
        shardings({"x": np.zeros(12)}, (("x", jax.P(("data", "model"))),), mesh)


def test_a_rule_for_more_axes_than_there_are_is_refused(mesh):
    with pytest.raises(UserError, match="the rule for 'tokens'"):
        shardings({"tokens": np.zeros(())}, RULES, mesh)


def test_moments_are_sharded_as_their_parameters(mesh):
    trainable = {"tokens": jnp.zeros((8, 2)), "head": {"tokens": jnp.zeros((8, 2))}}
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-3))
    state = optimizer.init(trainable)
    found = specs(optimizer_shardings(state, trainable, RULES, mesh))
    assert {k: s for k, s in found.items() if s != jax.P()} == {
        "1/0/mu/tokens": jax.P("data"),
        "1/0/nu/tokens": jax.P("data"),
    }
    assert {"1/0/count", "1/0/mu/head/tokens"} <= found.keys()


def test_moments_of_a_tree_that_is_one_array(mesh):
    trainable = jnp.zeros((8, 2))
    state = optax.adam(1e-3).init(trainable)
    found = specs(optimizer_shardings(state, trainable, ((".*", jax.P("data")),), mesh))
    assert found == {"0/count": jax.P(), "0/mu": jax.P("data"), "0/nu": jax.P("data")}


@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray])
def test_place_and_back(mesh, kind):
    tree = {"tokens": kind(np.arange(16, dtype=np.float32).reshape(8, 2)), "n": kind(3)}
    placed = place(tree, shardings(tree, RULES, mesh))
    assert placed["tokens"].sharding.spec == jax.P("data")
    assert placed["tokens"].addressable_shards[0].data.shape == (2, 2)
    back = to_host(placed)
    assert isinstance(back["tokens"], np.ndarray)
    jax.tree.map(np.testing.assert_array_equal, back, tree)
