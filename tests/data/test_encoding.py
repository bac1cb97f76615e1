import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType

from common.encoding import feature_pass

SCALE = {"scale": jnp.float32(3.0)}


def encode(params, batch):
    return {
        "sum": params["scale"] * batch.sum((1, 2)),
        "rows": batch * params["scale"],
    }


def load(row: int) -> np.ndarray:
    return np.full((2, 3), row, np.float32)


@pytest.mark.parametrize(("count", "batch_size"), [(1, 4), (8, 8), (19, 8), (19, 5), (40, 16)])
def test_every_example_in_order_whatever_the_batch(count: int, batch_size: int):
    encoded = feature_pass(encode, SCALE, load, count, batch_size=batch_size)

    expected = np.arange(count, dtype=np.float32)
    assert np.array_equal(encoded["sum"], 18 * expected)
    assert encoded["rows"].shape == (count, 2, 3)
    assert np.array_equal(encoded["rows"][:, 1, 2], 3 * expected)


def test_it_compiles_one_shape_and_uses_every_device():
    shapes = []

    def spy(params, batch):
        shapes.append(batch.shape)
        jax.debug.inspect_array_sharding(batch, callback=lambda s: used.update(s.device_set))
        return encode(params, batch)

    used = set()
    feature_pass(spy, SCALE, load, 19, batch_size=8)

    assert shapes == [(8, 2, 3)]
    assert used == set(jax.local_devices())


def test_progress_counts_examples_not_batches():
    calls = []

    feature_pass(encode, SCALE, load, 19, batch_size=8, progress=lambda *c: calls.append(c))

    assert calls == [(8, 19), (16, 19), (19, 19)]


def test_it_brings_its_own_mesh():
    def spy(params, batch):
        assert jax.sharding.get_abstract_mesh().axis_names == ("data",)
        return encode(params, batch)

    mesh = jax.make_mesh((4, 2), ("data", "model"), axis_types=(AxisType.Auto,) * 2)
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    with jax.set_mesh(mesh):
        params = jax.device_put(SCALE, sharding)
        encoded = feature_pass(spy, params, load, 9, batch_size=8)

    assert encoded["sum"].tolist() == [18.0 * row for row in range(9)]


def test_errors_of_loading_reach_the_caller():
    def broken(row: int) -> np.ndarray:
        raise ValueError(f"row {row} is broken")

    with pytest.raises(ValueError, match="is broken"):
        feature_pass(encode, SCALE, broken, 3, batch_size=8)
    with pytest.raises(ValueError, match="count=0"):
        feature_pass(encode, SCALE, load, 0, batch_size=8)
