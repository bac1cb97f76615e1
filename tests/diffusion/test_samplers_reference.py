"""Schedules and whole trajectories against diffusers' schedulers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.diffusion import SAMPLERS, NoiseSchedule, sample
from common.errors import UserError
from tests.compare import relative_error

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
pytestmark = [
    pytest.mark.reference,
    # diffusers hands torch tensors to numpy in a way that numpy 2 deprecates.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning"),
]

# Where the model's own file leaves out what diffusers assumes and these samplers do not.
EXTRA = {"pndm": {"skip_prk_steps": True}}
# Their float32 steps divide differences of nearly equal numbers.
LIMITS = {"heun": 1e-4, "deis": 1e-4}

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
BETAS |= {"num_train_timesteps": 1000, "trained_betas": None}


def file(scheduler, **fields):
    """A scheduler file as diffusers writes them."""
    return {"_class_name": f"{scheduler}Scheduler", "_diffusers_version": "0.35.0"} | BETAS | fields


DPM = "DPMSolverMultistep"
UNUSED = {"clip_sample": False, "set_alpha_to_one": False, "skip_prk_steps": True}
SDXL = {"interpolation_type": "linear", "sample_max_value": 1.0, "timestep_spacing": "leading"}
SOLVER = {
    "algorithm_type": "dpmsolver++",
    "dynamic_thresholding_ratio": 0.995,
    "euler_at_final": False,
    "lambda_min_clipped": -float("inf"),
    "lower_order_final": True,
    "sample_max_value": 1.0,
    "solver_order": 2,
    "solver_type": "midpoint",
    "thresholding": False,
    "variance_type": None,
}
# As their owners published them.
PUBLISHED = {
    "SD 1.5": file("PNDM", **UNUSED, steps_offset=1),
    "SD 2.1": file("DDIM", **UNUSED, steps_offset=1, prediction_type="v_prediction"),
    "SD 2 base": file("PNDM", **UNUSED, steps_offset=1, prediction_type="epsilon"),
    "DPM++ 2M": file(DPM, **SOLVER, steps_offset=1, timestep_spacing="leading"),
    "DPM++ 2M Karras": file(DPM, **SOLVER, use_karras_sigmas=True, steps_offset=1),
    "DPM++ 2M SDE": file(DPM, **SOLVER | {"algorithm_type": "sde-dpmsolver++"}, steps_offset=1),
    "Euler": file("EulerDiscrete", **UNUSED, **SDXL, steps_offset=1, use_karras_sigmas=False),
    "Euler a": file("EulerAncestralDiscrete", **UNUSED, steps_offset=1),
    "DEIS": file("DEISMultistep", **SOLVER | {"algorithm_type": "deis", "solver_type": "logrho"}),
    "UniPC": file("UniPCMultistep", solver_order=2, solver_type="bh2", disable_corrector=[]),
    "zero SNR": file(
        "DDIM",
        **UNUSED | {"set_alpha_to_one": True},
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    ),
}
OPTIONS = {
    **{
        f"{scheduler} {kind} {final}": file(
            scheduler, final_sigmas_type=final, timestep_spacing="trailing", **{kind: True}
        )
        for scheduler in ("EulerDiscrete", DPM)
        for kind in ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas")
        for final in ("zero", "sigma_min")
    },
    **{
        f"{scheduler} {kind}": file(scheduler, **{kind: True})
        for scheduler in ("HeunDiscrete", "LMSDiscrete", "DEISMultistep", "UniPCMultistep")
        for kind in ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas")
    },
    **{
        f"{algorithm} order {order} {solver}": file(
            DPM,
            algorithm_type=algorithm,
            solver_order=order,
            solver_type=solver,
            final_sigmas_type="sigma_min",
        )
        for algorithm in ("dpmsolver++", "dpmsolver", "sde-dpmsolver++", "sde-dpmsolver")
        for order in (1, 2, 3)
        for solver in ("midpoint", "heun")
        if (algorithm, order) != ("sde-dpmsolver", 3)
    },
    **{
        f"{algorithm} {kind} {final}": file(
            DPM, algorithm_type=algorithm, final_sigmas_type=final, **{kind: True}
        )
        for algorithm, final in (
            ("dpmsolver", "sigma_min"),
            ("sde-dpmsolver", "sigma_min"),
            ("sde-dpmsolver++", "sigma_min"),
            ("sde-dpmsolver++", "zero"),
        )
        for kind in ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas")
    },
    **{
        f"{DPM} {first} {second}": file(
            DPM,
            solver_order=3,
            lower_order_final=first,
            euler_at_final=second,
            final_sigmas_type="sigma_min",
        )
        for first in (True, False)
        for second in (True, False)
    },
    "Lu's lambdas": file(DPM, use_lu_lambdas=True),
    "clipped lambdas": file(DPM, lambda_min_clipped=-2.0),
    "Euler between logarithms": file("EulerDiscrete", interpolation_type="log_linear"),
    "Euler with bounds": file(
        "EulerDiscrete", sigma_min=0.1, sigma_max=10.0, use_karras_sigmas=True
    ),
    "Euler in continuous time": file(
        "EulerDiscrete", timestep_type="continuous", prediction_type="v_prediction"
    ),
    **{
        f"PNDM to {end}": file("PNDM", skip_prk_steps=True, set_alpha_to_one=end)
        for end in (True, False)
    },
    "PNDM with Runge and Kutta": file("PNDM", skip_prk_steps=False),
    "PNDM with both and velocity": file(
        "PNDM", skip_prk_steps=False, prediction_type="v_prediction"
    ),
    **{
        f"DDPM {kind}": file("DDPM", variance_type=kind, clip_sample=False)
        for kind in ("fixed_small", "fixed_small_log", "fixed_large")
    },
    **{f"{name} clips": file(name, clip_sample_range=0.8) for name in ("DDPM", "DDIM")},
    "Heun clips": file("HeunDiscrete", clip_sample=True),
    "UniPC bh1": file("UniPCMultistep", solver_type="bh1", final_sigmas_type="sigma_min"),
    "UniPC order 3": file("UniPCMultistep", solver_order=3),
    "UniPC without some correctors": file("UniPCMultistep", disable_corrector=[0, 2]),
    "trained betas": file("DDIM", **UNUSED)
    | {"trained_betas": np.linspace(0.001, 0.02, 1000).tolist()},
}


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


def test_betas_of_files_that_say_none_or_a_refusal():
    """A class without betas of its own is refused; diffusers gains some with every version."""
    compared = refused = 0
    for name in filter(lambda name: name.endswith("Scheduler"), dir(diffusers)):
        try:
            theirs = getattr(diffusers, name)()
        except (ImportError, TypeError):  # Another library is needed, or arguments are.
            continue
        try:
            ours = NoiseSchedule.from_dict({"_class_name": name})
        except UserError:
            refused += 1
            continue
        np.testing.assert_allclose(ours.alphas_cumprod, theirs.alphas_cumprod.numpy(), rtol=1e-5)
        compared += 1
    assert compared > 15 and refused > 5


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


@pytest.mark.parametrize("steps", [1, 2, 5, 25])
@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name != "checkpoint"])
@pytest.mark.parametrize("spacing", [None, "leading", "linspace", "trailing"])
def test_trajectory(sampler, steps, spacing, scheduler_config, latents, monkeypatch):
    raw = scheduler_config | ({"timestep_spacing": spacing} if spacing else {})
    own = SAMPLERS[sampler]
    options = raw | EXTRA.get(sampler, {}) | dict(own.fixed)
    scheduler = getattr(diffusers, own.scheduler).from_config(options)
    compare(sampler, raw, scheduler, steps, latents, monkeypatch, LIMITS.get(sampler, 1e-5))


@pytest.mark.parametrize("steps", [1, 2, 5, 25])
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_files_sample_as_in_diffusers(name, steps, latents, monkeypatch):
    raw = PUBLISHED[name]
    scheduler = getattr(diffusers, raw["_class_name"]).from_config(raw)
    compare("checkpoint", raw, scheduler, steps, latents, monkeypatch, 1e-4)


@pytest.mark.filterwarnings("ignore:.*algorithm_type .* is deprecated:FutureWarning")
@pytest.mark.parametrize("steps", [5, 25])
@pytest.mark.parametrize("name", OPTIONS)
def test_options_sample_as_in_diffusers(name, steps, latents, monkeypatch):
    raw = OPTIONS[name]
    scheduler = getattr(diffusers, raw["_class_name"]).from_config(raw)
    compare("checkpoint", raw, scheduler, steps, latents, monkeypatch, 1e-4)


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "euler", "euler_karras", "dpmpp_2m_karras"])
def test_as_many_steps_as_there_are(sampler, latents, scheduler_configs):
    raw = scheduler_configs["v1"] | {"steps_offset": 0}
    own = SAMPLERS[sampler]
    scheduler = getattr(diffusers, own.scheduler).from_config(raw | dict(own.fixed))
    scheduler.set_timesteps(1000)
    plan = own(NoiseSchedule.from_dict(raw), 1000)
    np.testing.assert_allclose(plan.timestep, scheduler.timesteps.numpy(), atol=2e-3)
