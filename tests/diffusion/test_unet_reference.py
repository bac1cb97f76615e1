"""The UNet against diffusers: values, and the gradient that textual inversion follows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.diffusion import NoiseSchedule, UNet, UNetConfig
from common.weights.diffusion import unet_table
from common.weights.table import check_complete, to_flax, to_source
from tests.compare import relative_error
from tests.diffusion.channels import to_numpy, to_torch

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
pytestmark = pytest.mark.reference


@pytest.fixture(scope="module", params=["v1", "v2", "pocket"])
def pair(request, unet_configs):
    """diffusers' model and ours with the same random weights."""
    raw = unet_configs[request.param]
    torch.manual_seed(0)
    theirs = diffusers.UNet2DConditionModel.from_config(raw).eval().requires_grad_(False)
    for parameter in theirs.parameters():
        parameter.mul_(1 + 0.1 * torch.randn_like(parameter))
        parameter.add_(0.03 * torch.randn_like(parameter))
    config = UNetConfig.from_dict(dict(theirs.config))
    tensors = {name: x.numpy() for name, x in theirs.state_dict().items()}
    return theirs, UNet(config), tensors


@pytest.fixture
def scheduler_config(pair, scheduler_configs):
    """The published noise schedule that goes with the model."""
    return scheduler_configs["v2" if pair[1].config.use_linear_projection else "v1"]


def table_of(ours):
    return unet_table(ours.config.use_linear_projection)


def test_weights_convert_completely_and_back(pair, unet_inputs):
    _, ours, tensors = pair
    params = to_flax(table_of(ours), tensors)
    check_complete(params, jax.eval_shape(ours.init, jax.random.key(0), *unet_inputs)["params"])
    back = to_source(table_of(ours), params)
    assert back.keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(back[name], tensor)


@pytest.mark.parametrize("size", [(8, 12), (7, 12), (8, 9), (5, 11)], ids=str)
def test_prediction(pair, unet_inputs, size):
    """Also at sides that cannot be halved evenly."""
    theirs, ours, tensors = pair
    latents, timesteps, text_states = (np.array(x) for x in unet_inputs)
    latents = latents[:, : size[0], : size[1]]
    desired = to_numpy(
        theirs(to_torch(latents), torch.from_numpy(timesteps), torch.from_numpy(text_states)).sample
    )
    params = to_flax(table_of(ours), tensors)
    actual = jax.jit(ours.apply)({"params": params}, latents, timesteps, text_states)
    assert relative_error(actual, desired) < 1e-5


def test_gradient_of_the_denoising_loss(pair, unet_inputs, scheduler_config):
    theirs, ours, tensors = pair
    latents, timesteps, text_states = (np.array(x) for x in unet_inputs)
    noise = np.random.default_rng(2).standard_normal(latents.shape).astype(np.float32)

    scheduler = diffusers.DDPMScheduler.from_config(scheduler_config)
    states = torch.from_numpy(text_states).requires_grad_()
    times = torch.from_numpy(timesteps).long()
    noisy = scheduler.add_noise(to_torch(latents), to_torch(noise), times)
    target = to_torch(noise)
    if scheduler_config.get("prediction_type") == "v_prediction":
        target = scheduler.get_velocity(to_torch(latents), to_torch(noise), times)
    their_loss = torch.nn.functional.mse_loss(theirs(noisy, times, states).sample, target)
    their_loss.backward()

    schedule = NoiseSchedule.from_dict(scheduler_config)
    params = to_flax(table_of(ours), tensors)
    latents, noise, timesteps = map(jnp.asarray, (latents, noise, timesteps))

    def loss(states):
        noisy = schedule.add_noise(latents, noise, timesteps)
        prediction = ours.apply({"params": params}, noisy, timesteps, states)
        return jnp.mean((prediction - schedule.target(latents, noise, timesteps)) ** 2)

    our_loss, gradient = jax.jit(jax.value_and_grad(loss))(unet_inputs[2])
    assert float(our_loss) == pytest.approx(their_loss.item(), rel=1e-5)
    assert relative_error(gradient, states.grad.numpy()) < 1e-5
