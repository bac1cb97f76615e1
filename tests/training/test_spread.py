"""Rows over devices: each once, in order, whatever their number."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.spread import batches, deal, over_devices, sharers
from common.training.mesh import make_mesh


def scaled(shared, rows, *, power):
    used.append(rows["x"].shape)
    return shared["scale"] * rows["x"] ** power + rows["number"][:, None]


used: list[tuple[int, ...]] = []


@pytest.mark.parametrize(("count", "at_once"), [(1, None), (8, None), (19, None), (19, 4), (40, 9)])
def test_every_row_in_order(count, at_once):
    rows = {"x": np.arange(2.0 * count, dtype=np.float32).reshape(count, 2)}
    rows["number"] = np.arange(count, dtype=np.float32)
    told = []
    found = over_devices(
        scaled, {"scale": np.float32(3)}, rows, at_once=at_once, progress=told.append, power=2
    )
    expected = 3 * rows["x"] ** 2 + rows["number"][:, None]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert isinstance(found, np.ndarray) and told[-1] == count


def test_each_device_works_on_its_share_alone():
    used.clear()
    rows = {"x": np.ones((16, 5), np.float32), "number": np.zeros(16, np.float32)}
    over_devices(scaled, {"scale": np.float32(1)}, rows, power=3)
    over_devices(scaled, {"scale": np.float32(2)}, rows, power=3)
    assert used == [(2, 5)]


def test_it_works_under_another_mesh():
    mesh = make_mesh(2, 2)
    with jax.set_mesh(mesh):
        everywhere = jax.sharding.NamedSharding(mesh, jax.P())
        shared = {"scale": jax.device_put(jnp.float32(2), everywhere)}
        rows = {"x": np.ones((3, 1), np.float32), "number": np.zeros(3, np.float32)}
        assert over_devices(scaled, shared, rows, power=1).tolist() == [[2.0]] * 3


def both(shared, rows):
    return {"twice": 2 * rows["x"], "sum": rows["x"].sum(axis=1)}


def test_trees_come_back_as_trees():
    rows = {"x": np.arange(22.0, dtype=np.float32).reshape(11, 2)}
    found = over_devices(both, (), rows, at_once=8)
    np.testing.assert_array_equal(found["twice"], 2 * rows["x"])
    np.testing.assert_array_equal(found["sum"], rows["x"].sum(axis=1))


def test_batches_are_filled_up():
    found = [(rows.tolist(), real) for rows, real in batches(5, 3, devices=2)]
    assert found == [([0, 1, 2, 3], 4), ([4, 4, 4, 4], 1)]
    assert [real for _, real in batches(3, 100)] == [3]


def test_a_batch_is_dealt_out_beside_what_it_meets():
    mesh = make_mesh(4, 2)
    like = {"w": jax.device_put(np.ones(3), jax.sharding.NamedSharding(mesh, jax.P()))}
    dealt = deal({"x": np.arange(8)}, like)
    assert sharers(like) == 4
    assert {shard.data.shape for shard in dealt["x"].addressable_shards} == {(2,)}
    assert dealt["x"].tolist() == list(range(8))


def test_without_a_mesh_there_is_one_device():
    like = jnp.ones(3)
    assert sharers(like) == 1 and sharers(np.ones(3)) == 1
    assert deal(np.arange(3), like).devices() == like.devices()
