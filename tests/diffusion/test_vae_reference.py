"""The autoencoder against diffusers."""

import jax
import numpy as np
import pytest

from common.diffusion import AutoencoderKL, VAEConfig
from common.weights.diffusion import VAE, vae_to_flax
from common.weights.table import check_complete, to_source
from tests.compare import relative_error
from tests.diffusion.channels import to_numpy, to_torch

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
pytestmark = pytest.mark.reference


@pytest.fixture(scope="module")
def pair(vae_config):
    torch.manual_seed(0)
    theirs = diffusers.AutoencoderKL.from_config(vae_config).eval().requires_grad_(False)
    for parameter in theirs.parameters():
        parameter.mul_(1 + 0.1 * torch.randn_like(parameter))
        parameter.add_(0.03 * torch.randn_like(parameter))
    tensors = {name: x.numpy() for name, x in theirs.state_dict().items()}
    return theirs, AutoencoderKL(VAEConfig.from_dict(dict(theirs.config))), tensors


def test_weights_convert_completely_and_back(pair):
    _, ours, tensors = pair
    params = vae_to_flax(tensors)
    pixels = np.zeros((1, 16, 16, 3), np.float32)
    check_complete(params, jax.eval_shape(ours.init, jax.random.key(0), pixels)["params"])
    back = to_source(VAE, params)
    assert back.keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(back[name], tensor)


def test_encode(pair):
    theirs, ours, tensors = pair
    pixels = np.random.default_rng(0).uniform(-1, 1, (2, 16, 24, 3)).astype(np.float32)
    posterior = theirs.encode(to_torch(pixels)).latent_dist
    actual = jax.jit(lambda p, x: ours.apply(p, x, method="encode"))(
        {"params": vae_to_flax(tensors)}, pixels
    )
    assert actual.mean.shape == (2, 8, 12, 4)
    assert relative_error(actual.mean, to_numpy(posterior.mean)) < 1e-5
    assert relative_error(actual.logvar, to_numpy(posterior.logvar)) < 1e-5


def test_decode(pair):
    theirs, ours, tensors = pair
    latents = np.random.default_rng(0).standard_normal((2, 4, 6, 4)).astype(np.float32)
    actual = jax.jit(lambda p, x: ours.apply(p, x, method="decode"))(
        {"params": vae_to_flax(tensors)}, latents
    )
    assert relative_error(actual, to_numpy(theirs.decode(to_torch(latents)).sample)) < 1e-5
