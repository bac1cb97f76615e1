import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.diffusion import AutoencoderKL, Moments, VAEConfig
from common.diffusion.checkpoint import abstract_vae

pytestmark = pytest.mark.usefixtures("quick_compiler")


def run(vae, params, method, x):
    return jax.jit(lambda p, x: vae.apply({"params": p}, x, method=method))(params, x)


def test_published_size():
    shapes = jax.tree.leaves(abstract_vae(AutoencoderKL(VAEConfig())))
    assert sum(int(np.prod(leaf.shape)) for leaf in shapes) == 83_653_863


def test_sizes(small_vae):
    vae, params = small_vae
    pixels = np.random.default_rng(0).uniform(-1, 1, (2, 16, 24, 3)).astype(np.float32)
    moments = run(vae, params, "encode", pixels)
    assert moments.mean.shape == moments.logvar.shape == (2, 8, 12, 4)
    assert run(vae, params, "decode", moments.mean).shape == pixels.shape


def test_posterior_sample_by_hand():
    mean, logvar = jnp.full((1, 1, 1, 1), 3.0), jnp.full((1, 1, 1, 1), 2 * np.log(5.0))
    sample = Moments(mean, logvar).sample(jnp.full((1, 1, 1, 1), -2.0))
    assert float(sample.squeeze()) == pytest.approx(3 - 2 * 5, rel=1e-6)


def test_log_variance_stays_in_its_bounds(small_vae):
    vae, params = small_vae
    wild = params | {"quant": {"kernel": params["quant"]["kernel"] * 1e4, "bias": np.zeros(8)}}
    logvar = run(vae, wild, "encode", np.ones((1, 16, 16, 3), np.float32)).logvar
    assert {float(logvar.min()), float(logvar.max())} <= {-30.0, 20.0}


def test_bfloat16_is_close_and_returns_float32(small_vae):
    vae, params = small_vae
    pixels = np.random.default_rng(0).uniform(-1, 1, (1, 16, 16, 3)).astype(np.float32)
    desired = run(vae, params, "encode", pixels).mean
    halved = jax.tree.map(lambda x: jnp.asarray(x, jnp.bfloat16), params)
    actual = run(vae.clone(dtype=jnp.bfloat16), halved, "encode", pixels).mean
    assert actual.dtype == jnp.float32
    assert 1e-5 < np.abs(actual - desired).max() / np.abs(desired).max() < 0.05
