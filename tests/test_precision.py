"""What `dtype` means on each device, and who asks for it."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common import precision
from common.attention import attend
from common.errors import UserError
from common.precision import computing, frozen_dtype, product_precision, use_precision

COMMANDS = (
    *("common.commands.runs", "mcti_jax.drawing"),
    *("protext_jax.export", "protext_jax.interpret"),
)


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    monkeypatch.delenv("JAX_DEFAULT_MATMUL_PRECISION", raising=False)
    yield
    jax.config.update("jax_default_matmul_precision", None)


@pytest.mark.parametrize(
    ("name", "platform", "dtype", "products"),
    [
        ("float32", "cpu", jnp.float32, None),
        ("float32", "gpu", jnp.float32, "highest"),
        ("float32", "tpu", jnp.float32, "highest"),
        ("bfloat16", "cpu", jnp.bfloat16, None),
        ("bfloat16", "gpu", jnp.bfloat16, None),
        ("bfloat16", "tpu", jnp.bfloat16, None),
        ("auto", "cpu", jnp.float32, None),
        ("auto", "gpu", jnp.bfloat16, None),
        ("auto", "tpu", jnp.bfloat16, None),
    ],
)
def test_the_table(name, platform, dtype, products):
    assert frozen_dtype(name, platform) == dtype
    assert product_precision(name, platform) == products


def test_the_environment_wins(monkeypatch):
    monkeypatch.setenv("JAX_DEFAULT_MATMUL_PRECISION", "tensorfloat32")
    assert product_precision("float32", "gpu") == "tensorfloat32"


@pytest.mark.parametrize("name", ["float16", "", "half", "Float32"])
def test_an_unknown_dtype(name):
    with pytest.raises(UserError, match=f"'{name}' is unknown; choose one of auto, float32, bf"):
        use_precision(name)


def test_the_next_run_in_a_process_has_its_own(monkeypatch):
    monkeypatch.setattr(precision.jax, "default_backend", lambda: "tpu")
    use_precision("float32")
    assert jax.config.jax_default_matmul_precision == "highest"
    use_precision("bfloat16")
    assert jax.config.jax_default_matmul_precision is None


def test_a_cpus_programs_stay_as_they_are():
    def product(x):
        return jnp.tanh(x @ x.T)

    x = np.ones((8, 8), np.float32)
    before = jax.jit(product).lower(x).as_text()
    use_precision("float32")
    assert jax.jit(product).lower(x).as_text() == before


@pytest.mark.parametrize("implementation", ["plain", "fused", "flash"])
def test_attention_follows(implementation):
    """The kernel of flash attention, too, and the gradients."""
    x = jax.ShapeDtypeStruct((1, 4096, 1, 8), jnp.float32)

    def loss(x):
        return attend(x, x, x, implementation=implementation).sum()

    with jax.default_matmul_precision(product_precision("float32", "tpu")):
        text = str(jax.make_jaxpr(jax.grad(loss))(x))
    assert text.count("dot_general[") == text.count("precision=(Precision.HIGHEST") > 2


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_asks_for_it(name):
    module = __import__(name, fromlist=["main"])
    own = [each for each in vars(module).values() if inspect.isfunction(each)]
    sources = [inspect.getsource(each) for each in own if each.__module__ == name]
    assert any("use_precision(config" in source for source in sources)


def test_the_training_loop_asks_for_it():
    from common.training import run

    assert "computing(config" in inspect.getsource(run.train)


@pytest.mark.parametrize("dtype", ["auto", "float32", jnp.float32, jnp.dtype("bfloat16")])
def test_a_program_keeps_its_settings(callers_settings, dtype):
    with computing(dtype):
        assert jnp.zeros(2).dtype == jnp.float32
        assert jax.config.jax_default_matmul_precision is None
    assert jnp.zeros(2).dtype == jnp.float64


def test_float16_is_as_narrow_as_bfloat16(monkeypatch):
    monkeypatch.setattr(precision.jax, "default_backend", lambda: "tpu")
    for dtype, products in ((jnp.float16, None), (jnp.float32, "highest")):
        with computing(dtype):
            assert jax.config.jax_default_matmul_precision == products


def test_what_no_model_computes_in():
    with pytest.raises(UserError, match="'float64' is unknown; choose one of"), computing(float):
        pass


def test_a_command_has_jaxs_own_settings():
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_threefry_partitionable", False)
    use_precision("float32")
    assert jnp.zeros(2).dtype == jnp.float32
    assert jax.config.jax_threefry_partitionable
