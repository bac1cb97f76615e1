"""Schedules and whole trajectories against diffusers' schedulers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.diffusion import SAMPLERS, NoiseSchedule, sample

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
pytestmark = [
    pytest.mark.reference,
    # diffusers hands torch tensors to numpy in a way that numpy 2 deprecates.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

# Where the model's own file leaves out what diffusers assumes and these samplers do not.
EXTRA = {"pndm": {"skip_prk_steps": True}}


def relative_error(actual, desired):
    return np.abs(np.asarray(actual) - desired).max() / np.abs(desired).max()


@pytest.fixture(params=["v1", "v2"])
def scheduler_config(request, scheduler_configs):
    return scheduler_configs[request.param]


@pytest.fixture
def latents():
    return np.random.default_rng(0).standard_normal((2, 4, 4, 4)).astype(np.float32)


def model(xp):
    """A smooth stand-in for the UNet that depends on the place and on the time."""

    def denoise(latents, timesteps):
        times = xp.reshape(timesteps / 1000, (-1, 1, 1, 1))
        return 0.7 * xp.tanh(latents * (1.5 - times)) + 0.2 * xp.cos(3 * latents + times)

    return denoise


@pytest.mark.parametrize("beta_schedule", ["linear", "scaled_linear"])
def test_alphas_cumprod(scheduler_config, beta_schedule):
    raw = scheduler_config | {"beta_schedule": beta_schedule}
    desired = diffusers.DDPMScheduler.from_config(raw).alphas_cumprod.numpy()
    np.testing.assert_allclose(NoiseSchedule.from_dict(raw).alphas_cumprod, desired, rtol=1e-5)


def test_noise_and_velocity(scheduler_config, latents):
    theirs = diffusers.DDPMScheduler.from_config(scheduler_config)
    ours = NoiseSchedule.from_dict(scheduler_config)
    noise, times = latents[::-1].copy(), np.array([0, 999])
    arguments = [torch.from_numpy(x) for x in (latents, noise, times)]
    mine = [jnp.asarray(x) for x in (latents, noise, times)]
    assert relative_error(ours.add_noise(*mine), theirs.add_noise(*arguments).numpy()) < 1e-5
    target = noise
    if ours.prediction_type == "v_prediction":
        target = theirs.get_velocity(*arguments).numpy()
    assert relative_error(ours.target(*mine), target) < 1e-5


def compare(sampler, raw, scheduler, steps, latents, monkeypatch, limit=1e-5):
    """The same times, the same inputs to the model at each of them, the same result."""
    scheduler.set_timesteps(steps)
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(0)  # Else equal times of two steps are taken for one.
    rng = np.random.default_rng(1)
    calls = len(scheduler.timesteps)
    fresh = rng.standard_normal((calls, *latents.shape)).astype(np.float32)

    draws = iter(torch.from_numpy(fresh))
    for module in ("ddpm", "euler_ancestral_discrete", "dpmsolver_multistep"):
        monkeypatch.setattr(
            f"diffusers.schedulers.scheduling_{module}.randn_tensor", lambda *_, **__: next(draws)
        )
    desired = []
    x = torch.from_numpy(latents) * scheduler.init_noise_sigma
    for time in scheduler.timesteps:
        seen = scheduler.scale_model_input(x, time)
        desired.append(seen.numpy())
        x = scheduler.step(model(torch)(seen, time.expand(len(x)).float()), time, x).prev_sample
    desired.append(x.numpy())

    actual, times = [], []

    def denoise(seen, timesteps):
        actual.append(seen)
        times.append(float(timesteps[0]))
        return model(jnp)(seen, timesteps)

    # Without compilation the scan is a loop, in which the model sees numbers.
    with jax.disable_jit():
        last = sample(
            sampler,
            NoiseSchedule.from_dict(raw),
            denoise,
            jnp.asarray(latents),
            steps=steps,
            step_noise=lambda i: jnp.asarray(fresh)[i],
        )
    np.testing.assert_allclose(times, scheduler.timesteps.numpy(), rtol=1e-6, atol=2e-3)
    for ours, theirs in zip([*actual, last], desired, strict=True):
        assert relative_error(ours, theirs) < limit


@pytest.mark.parametrize("steps", [1, 2, 7, 20])
@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name != "checkpoint"])
@pytest.mark.parametrize("spacing", [None, "leading", "linspace", "trailing"])
def test_trajectory(sampler, steps, spacing, scheduler_config, latents, monkeypatch):
    raw = scheduler_config | ({"timestep_spacing": spacing} if spacing else {})
    own = SAMPLERS[sampler]
    options = raw | EXTRA.get(sampler, {}) | dict(own.fixed)
    scheduler = getattr(diffusers, own.scheduler).from_config(options)
    compare(sampler, raw, scheduler, steps, latents, monkeypatch)
