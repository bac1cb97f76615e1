"""Scheduler files that are damaged, hostile, or ask for samplers that there are not."""

import json
import math

import jax.numpy as jnp
import numpy as np
import pytest

from common.diffusion import NoiseSchedule, check_sampling, sample
from common.diffusion.samplers import PLANS, SAMPLERS, make_plan
from common.diffusion.scheduler_file import KNOWN
from common.errors import UserError

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
PLAIN = {"_class_name": "DDIMScheduler", "clip_sample": False} | BETAS
EULER = BETAS | {"_class_name": "EulerDiscreteScheduler"}
DPM = BETAS | {"_class_name": "DPMSolverMultistepScheduler"}
UNIPC = BETAS | {"_class_name": "UniPCMultistepScheduler"}


def check(raw, sampler="checkpoint", steps=10):
    check_sampling(NoiseSchedule.from_dict(raw), sampler, steps)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"beta_start": NaN}', "beta_start=nan .* is not a number from 0 to 1"),
        ('{"beta_end": Infinity}', "beta_end=inf .* is not a number"),
        ('{"beta_end": "much"}', "beta_end='much' .* is not a number"),
        ('{"beta_end": 1.5}', r"beta_end=1\.5 .* is not a number from 0 to 1"),
        ('{"beta_start": -1}', "beta_start=-1 .* is not a number"),
        ('{"beta_start": [0.1]}', "beta_start=.* is not a number"),
        ('{"beta_schedule": "squaredcos_cap_v2"}', "beta_schedule='squaredcos_cap_v2'"),
        ('{"beta_schedule": 7}', "beta_schedule=7 .* is not one of linear, scaled_linear"),
        ('{"prediction_type": "sample"}', "prediction_type='sample' .* is not one of"),
        ('{"prediction_type": "flow_prediction"}', "prediction_type='flow_prediction'"),
        ('{"prediction_type": {"a": 1}}', "prediction_type=.* is not one of"),
        ('{"num_train_timesteps": 1000000000}', "num_train_timesteps=1000000000 .* from 1 to"),
        ('{"num_train_timesteps": 0}', "num_train_timesteps=0 .* from 1 to"),
        ('{"num_train_timesteps": -1000}', "num_train_timesteps=-1000 .* from 1 to"),
        ('{"num_train_timesteps": 999.5}', r"num_train_timesteps=999\.5 .* whole number"),
        ('{"num_train_timesteps": true}', "num_train_timesteps=True .* whole number"),
        ('{"num_train_timesteps": 1e400}', "1e400, which is not a finite number"),
        ('{"trained_betas": [0.1, 0.2]}', "trained_betas=.* is not a list of 1000 numbers"),
        ('{"trained_betas": 0.1}', "trained_betas=0.1 .* is not a list of 1000 numbers"),
        (
            '{"num_train_timesteps": 2, "trained_betas": [0.1, NaN]}',
            "trained_betas=.* is not a list of 2 numbers from 0 to 1",
        ),
        (
            '{"num_train_timesteps": 2, "trained_betas": [0.1, "x"]}',
            "trained_betas=.* is not a list of 2 numbers",
        ),
        ('{"rescale_betas_zero_snr": "perhaps"}', "rescale_betas_zero_snr='perhaps'"),
        ('{"steps_offset": 1000000000000}', "steps_offset=1000000000000 .* whole number"),
        ('{"timestep_spacing": 3}', "timestep_spacing=3 .* is not a text"),
        ('{"beta_start": 0.1, "beta_start": 0.2}', "the key 'beta_start' twice"),
        ("[0.1, 0.2]", "holds no JSON object"),
        ('{"beta_start": 0.1', "cannot be read as JSON"),
        ("[" * 100_000, "cannot be read as JSON"),
        ("", "cannot be read as JSON"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "Git-LFS|Git LFS"),
    ],
)
def test_a_damaged_file_is_refused_at_load(text, sentence, tmp_path):
    path = tmp_path / "scheduler_config.json"
    path.write_text(text)
    with pytest.raises(UserError, match=sentence):
        NoiseSchedule.from_file(path)


def test_a_file_of_too_many_betas_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("common.diffusion.schedule.MOST_BYTES", 100)
    path = tmp_path / "scheduler_config.json"
    path.write_text(json.dumps(PLAIN | {"trained_betas": [0.1] * 100}))
    with pytest.raises(UserError, match="100 bytes"):
        NoiseSchedule.from_file(path)


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ({"_class_name": "LCMScheduler"}, "_class_name='LCMScheduler' is not a scheduler"),
        ({"_class_name": "TCDScheduler"}, "_class_name='TCDScheduler' is not a scheduler"),
        ({"_class_name": "../../etc/passwd"}, "is not a scheduler that can be sampled with"),
        ({"_class_name": ["DDIMScheduler"]}, "is not a scheduler that can be sampled with"),
        ({"_class_name": None}, "_class_name=None is not a scheduler"),
        ({"timestep_spacing": "random"}, "timestep_spacing='random' is not supported"),
        ({"thresholding": True}, "thresholding=True is not supported by DDIMScheduler"),
        ({"clip_sample": "yes"}, "clip_sample='yes' is not supported"),
        ({"clip_sample": True, "clip_sample_range": -1}, "clip_sample_range=-1"),
        ({"use_karras_sigmas": True}, "use_karras_sigmas=True is not known to DDIMScheduler"),
        ({"use_flow_sigmas": True}, "use_flow_sigmas=True is not known to DDIMScheduler"),
        ({"final_sigmas_type": "sigma_min"}, "final_sigmas_type='sigma_min' is not known"),
        ({"a_field_of_tomorrow": 3}, "a_field_of_tomorrow=3 is not known to DDIMScheduler"),
        ({"steps_offset": 500}, "would start at timestep"),
        ({"steps_offset": -1}, "would end at timestep -1"),
        (EULER | {"interpolation_type": "cubic"}, "interpolation_type='cubic'"),
        (EULER | {"final_sigmas_type": "half"}, "final_sigmas_type='half'"),
        (EULER | {"sigma_min": "small"}, "sigma_min='small'"),
        (EULER | {"sigma_max": math.nan}, "sigma_max=nan"),
        (EULER | {"sigma_min": 0.0}, r"sigma_min=0\.0"),
        (EULER | {"timestep_type": "sometimes"}, "timestep_type='sometimes'"),
        (
            EULER | {"use_karras_sigmas": True, "use_beta_sigmas": True},
            "only one of use_karras_sigmas, use_beta_sigmas can be true",
        ),
        (DPM | {"solver_order": 4}, "solver_order=4 is not supported"),
        (DPM | {"solver_order": True}, "solver_order=True is not supported"),
        (DPM | {"algorithm_type": "dpmsolver+++"}, "algorithm_type='dpmsolver...'"),
        (DPM | {"algorithm_type": "dpmsolver"}, "cannot end with final_sigmas_type='zero'"),
        (
            DPM
            | {
                "algorithm_type": "sde-dpmsolver",
                "solver_order": 3,
                "final_sigmas_type": "sigma_min",
            },
            "solver_order=3 is not defined for algorithm_type='sde-dpmsolver'",
        ),
        (DPM | {"solver_type": "bh2"}, "solver_type='bh2' is not supported"),
        (DPM | {"variance_type": "learned_range"}, "variance_type='learned_range'"),
        (DPM | {"use_flow_sigmas": True}, "use_flow_sigmas=True is not supported"),
        (DPM | {"use_dynamic_shifting": True}, "use_dynamic_shifting=True is not supported"),
        (DPM | {"lower_order_final": "no"}, "lower_order_final='no'"),
        (DPM | {"lambda_min_clipped": 1e5}, "lambda_min_clipped=100000.0 leaves no timestep"),
        (UNIPC | {"disable_corrector": ["x"]}, "disable_corrector=.* a list of whole numbers"),
        (UNIPC | {"solver_p": "DDIMScheduler"}, "solver_p='DDIMScheduler'"),
        (UNIPC | {"predict_x0": False}, "predict_x0=False"),
        (
            {"_class_name": "DDPMScheduler", "variance_type": "learned"},
            "variance_type='learned' is not supported by DDPMScheduler",
        ),
        (
            {"_class_name": "PNDMScheduler", "rescale_betas_zero_snr": True},
            "rescale_betas_zero_snr=True is not supported by PNDMScheduler",
        ),
        (
            {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"},
            "cannot be laid out by DDIMScheduler with timestep_spacing='trailing'",
        ),
    ],
)
def test_what_cannot_be_sampled_is_named_when_sampling_and_no_sooner(raw, sentence):
    schedule = NoiseSchedule.from_dict(PLAIN | raw)
    assert schedule.alphas_cumprod.shape == (1000,)
    with pytest.raises(UserError, match=sentence):
        check_sampling(schedule, "checkpoint", 10)


@pytest.mark.parametrize(
    ("raw", "sampler"),
    [
        ({"_class_name": "LCMScheduler"}, "dpmpp_2m"),
        ({"_class_name": None}, "ddim"),
        ({"use_karras_sigmas": True}, "ddim"),
        ({"solver_order": 7}, "euler"),
        ({"final_sigmas_type": "sigma_min"}, "pndm"),
        ({"thresholding": True}, "euler"),
        ({"num_train_timesteps": "1000", "steps_offset": 1.0}, "checkpoint"),
        ({"clip_sample": None, "thresholding": None}, "checkpoint"),
        ({"a_field_of_tomorrow": None, "another": False, "third": []}, "checkpoint"),
        ({"_a_private_field": 3, "tensor_format": "pt", "timestep_values": None}, "checkpoint"),
        ({"skip_prk_steps": True, "solver_type": "midpoint"}, "checkpoint"),
        (DPM | {"lambda_min_clipped": -math.inf, "solver_order": 2.0}, "checkpoint"),
        (EULER | {"use_karras_sigmas": None, "sigma_min": None}, "checkpoint"),
        (EULER | {"use_beta_sigmas": True}, "euler_karras"),
    ],
)
def test_what_asks_for_nothing_that_the_sampler_lacks_is_sampled(raw, sampler):
    check(PLAIN | raw, sampler)


@pytest.mark.parametrize("sampler", [*SAMPLERS])
@pytest.mark.parametrize("steps", [-1, 0, 1001, 10**9])
def test_steps_that_do_not_fit(sampler, steps):
    with pytest.raises(UserError, match=f"steps={steps} must lie between 1 and 1000"):
        check(PLAIN, sampler, steps)


@pytest.mark.parametrize("sampler", [*SAMPLERS])
@pytest.mark.parametrize("timesteps", [1, 2, 3])
def test_models_of_few_timesteps_are_sampled_or_refused(sampler, timesteps):
    raw = PLAIN | {"num_train_timesteps": timesteps, "trained_betas": [0.1] * timesteps}
    for steps in range(1, timesteps + 1):
        try:
            plan = make_plan(NoiseSchedule.from_dict(raw), sampler, steps)
        except UserError as error:
            assert f"steps={steps}" in str(error)
        else:
            assert np.isfinite(plan.following.estimates).all()


def test_one_step_goes_straight_to_the_clean_latents():
    ones = jnp.ones((1, 2, 2, 1))
    schedule = NoiseSchedule.from_dict(PLAIN | {"steps_offset": 0})
    for sampler in ("ddim", "euler", "dpmpp_2m", "heun", "unipc"):
        alpha = np.sqrt(schedule.alphas_cumprod[int(make_plan(schedule, sampler, 1).timestep[0])])
        # A model that sees all of it as clean latents, scaled.
        latents = sample(sampler, schedule, lambda x, t: 0 * x, ones, steps=1)
        plan = make_plan(schedule, sampler, 1)
        np.testing.assert_allclose(
            latents, ones * plan.initial_scale * plan.input_scale[0] / alpha, rtol=1e-5
        )


def test_a_file_with_minus_infinity_is_read_as_diffusers_writes_it(tmp_path):
    path = tmp_path / "scheduler_config.json"
    path.write_text(json.dumps(DPM | {"lambda_min_clipped": -math.inf}))
    assert "-Infinity" in path.read_text()
    schedule = NoiseSchedule.from_file(path)
    check_sampling(schedule, "checkpoint", 10)
    assert "lambda_min_clipped" not in schedule.to_dict()


def test_every_class_has_its_plan():
    assert PLANS.keys() == KNOWN.keys()
