"""Rows over devices: each once, in order, whatever their number."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.training.mesh import make_mesh
from common.training.spread import over_devices


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
