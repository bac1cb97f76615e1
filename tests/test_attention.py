import importlib.util
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from common.aot.topology import topology_devices
from common.attention import IMPLEMENTATIONS, attend
from common.errors import UserError


def draw(batch, queries, keys, heads, width, dtype=jnp.float32):
    shapes = [(batch, queries), (batch, keys), (batch, keys)]
    draws = jax.random.split(jax.random.key(0), 3)
    return [
        jax.random.normal(key, (*shape, heads, width), dtype)
        for key, shape in zip(draws, shapes, strict=True)
    ]


def test_by_hand():
    """Equal logits give the mean of the values; one much larger logit gives its value."""
    query = jnp.array([0.0, 100.0]).reshape(1, 2, 1, 1)
    key = jnp.array([1.0, 2.0]).reshape(1, 2, 1, 1)
    value = jnp.array([10.0, 20.0]).reshape(1, 2, 1, 1)
    np.testing.assert_allclose(attend(query, key, value).ravel(), [15.0, 20.0])
    # The first query sees the first key only.
    np.testing.assert_allclose(attend(query, key, value, causal=True).ravel(), [10.0, 20.0])


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
@pytest.mark.parametrize("causal", [False, True])
def test_against_a_loop(name, causal):
    query, key, value = (np.asarray(x, np.float64) for x in draw(2, 5, 5, 3, 8))
    desired = np.empty_like(query)
    for b, q, h in np.ndindex(query.shape[:3]):
        seen = q + 1 if causal else 5
        weights = np.exp(key[b, :seen, h] @ query[b, q, h] / 8**0.5)
        desired[b, q, h] = weights @ value[b, :seen, h] / weights.sum()
    actual = attend(*draw(2, 5, 5, 3, 8), causal=causal, implementation=name)
    np.testing.assert_allclose(actual, desired, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_half_precision_keeps_softmax_in_float32(name):
    """Logits of 100 and 100.25, which bfloat16 does not tell apart."""
    query = jnp.array([16, 1, 0, 0], jnp.bfloat16).reshape(1, 1, 1, 4)
    key = jnp.array([[12.5, 0, 0, 0], [12.5, 0.5, 0, 0]], jnp.bfloat16).reshape(1, 2, 1, 4)
    value = jnp.array([[0] * 4, [1] * 4], jnp.bfloat16).reshape(1, 2, 1, 4)
    mixed = attend(query, key, value, implementation=name)
    assert mixed.dtype == jnp.bfloat16
    np.testing.assert_allclose(mixed.astype(np.float32), jax.nn.sigmoid(0.25), atol=0.01)


def test_unknown_name():
    with pytest.raises(UserError, match=r"'quick' is unknown; choose one of plain, fused, flash"):
        attend(*draw(1, 2, 2, 1, 4), implementation="quick")


@pytest.mark.parametrize(
    ("queries", "keys", "width", "fits"),
    [
        *((4096, 4096, 40, True), (4096, 4608, 256, True)),
        *((4096, 77, 8, False), (4096, 4096, 136, False)),
        *((3584, 4096, 40, False), (4096, 4100, 40, False)),
    ],
)
def test_flash_is_plain_where_the_kernel_does_not_fit(queries, keys, width, fits):
    shapes = [jax.ShapeDtypeStruct((1, n, 1, width), jnp.float32) for n in (queries, keys, keys)]
    plain, flash = (
        str(jax.make_jaxpr(partial(attend, implementation=name))(*shapes))
        for name in ("plain", "flash")
    )
    assert "pallas_call" in flash if fits else flash == plain


@pytest.fixture
def short(monkeypatch):
    """The kernel takes four blocks, two of the queries and two of the keys; emulated it is slow."""
    monkeypatch.setattr("common.attention._FLASH_LENGTH", 1024)
    return 1024


@pytest.mark.parametrize("causal", [False, True])
def test_flash_kernel_interpreted(short, causal):
    """The kernel itself, emulated on the CPU, with heads narrower than a vector unit."""
    from jax.experimental.pallas import tpu as pltpu

    inputs = draw(1, short, short, 1, 40, jnp.bfloat16)
    with pltpu.force_tpu_interpret_mode():
        actual = jax.jit(lambda *x: attend(*x, causal=causal, implementation="flash"))(*inputs)
    desired = attend(*inputs, causal=causal)
    error = np.abs(np.asarray(actual - desired, np.float32)).max()
    assert 0 < error < 0.01 * np.abs(np.asarray(desired, np.float32)).max()


def test_gradient_of_the_flash_kernel_interpreted(short):
    from jax.experimental.pallas import tpu as pltpu

    def loss(implementation, *inputs):
        mixed = attend(*inputs, implementation=implementation)
        return jnp.sum(mixed * jnp.cos(jnp.arange(mixed.size).reshape(mixed.shape)))

    inputs = draw(1, short, short, 1, 40)
    gradient = jax.jit(jax.grad(loss, argnums=(1, 2, 3)), static_argnums=0)
    with pltpu.force_tpu_interpret_mode():
        found = gradient("flash", *inputs)
    for actual, desired in zip(found, gradient("plain", *inputs), strict=True):
        assert np.abs(actual - desired).max() < 1e-4 * np.abs(desired).max()


@pytest.mark.tpu_backend
@pytest.mark.skipif(not importlib.util.find_spec("libtpu"), reason="libtpu is not installed")
@pytest.mark.parametrize(("topology", "shape"), [("v5e:1x1", (1, 1)), ("v5e:2x2", (2, 2))])
def test_flash_compiles_for_tpus(topology, shape):
    """The gradient at SD 1.x's sizes, in a quarter of the memory of the probabilities."""
    mesh = Mesh(
        np.array(topology_devices(topology)).reshape(shape),
        ("data", "model"),
        axis_types=(AxisType.Auto,) * 2,
    )
    sharded = jax.ShapeDtypeStruct(
        (2, 4096, 8, 40), jnp.bfloat16, sharding=NamedSharding(mesh, P("data"))
    )

    def loss(*inputs):
        return attend(*inputs, implementation="flash").astype(jnp.float32).sum()

    gradient = jax.jit(jax.grad(loss, argnums=(0, 1, 2)))
    with jax.set_mesh(mesh):
        lowered = gradient.trace(*[sharded] * 3).lower(lowering_platforms=("tpu",))
    compiled = lowered.compile()
    assert "tpu_custom_call" in compiled.as_text()
    assert compiled.memory_analysis().temp_size_in_bytes < 2 * 8 * 4096**2 * 4 / 4
