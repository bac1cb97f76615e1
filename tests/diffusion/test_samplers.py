import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.diffusion import SAMPLERS, NoiseSchedule, check_sampling, sample, samplers
from common.diffusion.names import SAMPLER_NAMES
from common.errors import UserError

pytestmark = pytest.mark.usefixtures("quick_compiler")
SHAPE = (2, 3, 3, 4)
CLEAN = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
NOISE = jax.random.normal(jax.random.key(1), SHAPE)


def schedule(**changes):
    published = {"_class_name": "DDIMScheduler", "clip_sample": False}
    published |= {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
    return NoiseSchedule.from_dict(published | {"steps_offset": 1} | changes)


def oracle(noise_schedule):
    """The perfect model of a data set that consists of `CLEAN` alone."""
    table = jnp.asarray(noise_schedule.alphas_cumprod)

    def denoise(latents, timesteps):
        at = jnp.interp(timesteps, jnp.arange(len(table)), table)[:, None, None, None]
        noise = (latents - jnp.sqrt(at) * CLEAN) / jnp.sqrt(1 - at)
        if noise_schedule.prediction_type == "epsilon":
            return noise
        return jnp.sqrt(at) * noise - jnp.sqrt(1 - at) * CLEAN

    return denoise


def fresh(index):
    return jax.random.normal(jax.random.fold_in(jax.random.key(2), index), SHAPE)


# These end at the model's first timestep, where there is still a little noise.
NEVER_CLEAN = {"deis", "pndm"}


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name not in NEVER_CLEAN])
def test_a_perfect_model_is_sampled_perfectly(sampler, prediction_type):
    chosen = schedule(prediction_type=prediction_type)
    latents = sample(sampler, chosen, oracle(chosen), NOISE, steps=20, step_noise=fresh)
    np.testing.assert_allclose(latents, CLEAN, atol=2e-3)


@pytest.mark.parametrize(
    ("sampler", "desired"),
    [
        ("ddpm", [751, 501, 251, 1]),
        ("ddim", [751, 501, 251, 1]),
        ("euler", [999, 666, 333, 0]),
        ("dpmpp_2m", [999, 749, 500, 250]),
    ],
)
def test_visited_times(sampler, desired):
    np.testing.assert_array_equal(SAMPLERS[sampler](schedule(), 4).timestep, desired)


def test_euler_visits_times_between_training_timesteps():
    plan = SAMPLERS["euler"](schedule(), 3)
    np.testing.assert_allclose(plan.timestep, [999, 499.5, 0])


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("sampler", sorted(NEVER_CLEAN))
def test_a_perfect_model_is_sampled_well(sampler, prediction_type):
    chosen = schedule(prediction_type=prediction_type, set_alpha_to_one=False)
    latents = sample(sampler, chosen, oracle(chosen), NOISE, steps=20)
    np.testing.assert_allclose(latents, CLEAN, atol=0.15)


def test_which_samplers_add_noise_and_every_step_its_own():
    adds = {name for name, make in SAMPLERS.items() if np.any(make(schedule(), 5).noise)}
    noisy = {name for name in SAMPLERS if name.startswith("dpmpp_2m_sde")}
    assert adds == {"ddpm", "euler_ancestral"} | noisy
    chosen, zeros = schedule(), jnp.zeros(SHAPE)

    def last(step_noise):
        return sample("ddpm", chosen, lambda x, t: 0 * x, zeros, steps=3, step_noise=step_noise)

    effects = [float(last(lambda i, j=j: zeros + (i == j))[0, 0, 0, 0]) for j in range(3)]
    assert effects[0] != effects[1] > 0
    assert effects[2] == 0  # nothing is added after the last call


@pytest.mark.parametrize("kind", ["karras", "exponential", "beta"])
@pytest.mark.parametrize("algorithm", ["dpmsolver", "sde-dpmsolver", "sde-dpmsolver++"])
def test_a_last_step_that_stands_still_is_laid_out(algorithm, kind):
    file = {"_class_name": "DPMSolverMultistepScheduler", "algorithm_type": algorithm}
    chosen = schedule(**file, final_sigmas_type="sigma_min", **{f"use_{kind}_sigmas": True})
    plan = samplers.make_plan(chosen, "checkpoint", 20)
    np.testing.assert_allclose(plan.following.latents[-1], 1, rtol=1e-6)
    np.testing.assert_allclose(plan.following.estimates[-1], 0, atol=1e-6)
    np.testing.assert_allclose(plan.noise[-1], 0, atol=1e-4)


def test_the_model_is_traced_once():
    calls = []

    def denoise(latents, timesteps):
        calls.append(latents.shape)
        return latents

    jax.jit(lambda x: sample("ddim", schedule(), denoise, x, steps=50))(NOISE)
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("sampler", "steps", "sentence"),
    [
        ("plms", 5, "'plms' is unknown; choose one of ddpm, ddim, euler, dpmpp_2m"),
        ("ddim", 0, "steps=0 must lie between 1 and 1000"),
        ("ddim", 1001, "steps=1001 must lie between 1 and 1000"),
        ("ddim", 1000, "would start at timestep 1000, beyond the last one, 999"),
        ("ddpm", 5, "'ddpm' adds noise at each step and needs a random key"),
    ],
)
def test_errors(sampler, steps, sentence):
    with pytest.raises(UserError, match=sentence):
        sample(sampler, schedule(), lambda x, t: x, NOISE, steps=steps)


def test_a_check_without_a_model():
    check_sampling(schedule(), "dpmpp_2m", 25)
    with pytest.raises(UserError, match="steps=1001 must lie between 1 and 1000"):
        check_sampling(schedule(), "dpmpp_2m", 1001)


def test_every_sampler_is_offered_by_name():
    assert {*samplers._NAMED, "checkpoint"} == set(SAMPLER_NAMES) and [*SAMPLERS] == [
        *SAMPLER_NAMES
    ]


FILES = {
    "ddim": {},
    "pndm": {"_class_name": "PNDMScheduler", "skip_prk_steps": True},
    "euler": {"_class_name": "EulerDiscreteScheduler"},
    "euler_karras": {"_class_name": "EulerDiscreteScheduler", "use_karras_sigmas": True},
    "dpmpp_2m": {"_class_name": "DPMSolverMultistepScheduler"},
    "dpmpp_2m_sde_beta": {
        "_class_name": "DPMSolverMultistepScheduler",
        "algorithm_type": "sde-dpmsolver++",
        "use_beta_sigmas": True,
    },
    # Of a third order no name tells.
    "checkpoint": {"_class_name": "DPMSolverMultistepScheduler", "solver_order": 3},
}


@pytest.mark.parametrize("name", FILES)
def test_a_files_own_sampler_has_a_name(name):
    noise_schedule = schedule(**FILES[name])
    assert samplers.named_sampler(noise_schedule, "checkpoint") == name
    assert samplers.named_sampler(noise_schedule, "heun") == "heun"
    plans = (samplers.make_plan(noise_schedule, asked, 7) for asked in (name, "checkpoint"))
    jax.tree.map(np.testing.assert_array_equal, *map(samplers._columns, plans))
