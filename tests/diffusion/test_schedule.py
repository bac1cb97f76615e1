import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.diffusion import NoiseSchedule
from common.errors import UserError

# Three steps: betas 0.1, 0.2, 0.3, hence 0.9, 0.9 x 0.8, 0.9 x 0.8 x 0.7.
BY_HAND = {"num_train_timesteps": 3, "beta_start": 0.1, "beta_end": 0.3}
SIGNAL = np.array([0.9, 0.72, 0.504])


def batch(*values):
    return jnp.array(values, jnp.float32).reshape(-1, 1, 1, 1)


def test_linear_by_hand():
    schedule = NoiseSchedule.from_dict(BY_HAND)
    assert schedule.alphas_cumprod.dtype == np.float32
    np.testing.assert_allclose(schedule.alphas_cumprod, SIGNAL, rtol=1e-6)


def test_scaled_linear_by_hand():
    schedule = NoiseSchedule.from_dict(
        BY_HAND | {"beta_schedule": "scaled_linear", "beta_start": 0.01, "beta_end": 0.09}
    )
    desired = np.cumprod([1 - 0.1**2, 1 - 0.2**2, 1 - 0.3**2])
    np.testing.assert_allclose(schedule.alphas_cumprod, desired, rtol=1e-6)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_noise_and_target_by_hand(prediction_type):
    schedule = NoiseSchedule.from_dict(BY_HAND | {"prediction_type": prediction_type})
    latents, noise, timesteps = batch(2, 5), batch(-1, 3), jnp.array([0, 2])
    noisy = jax.jit(schedule.add_noise)(latents, noise, timesteps).ravel()
    alpha, sigma = np.sqrt(SIGNAL[[0, 2]]), np.sqrt(1 - SIGNAL[[0, 2]])
    np.testing.assert_allclose(noisy, alpha * [2, 5] + sigma * [-1, 3], rtol=1e-6)
    target = jax.jit(schedule.target)(latents, noise, timesteps).ravel()
    velocity = alpha * [-1, 3] - sigma * [2, 5]
    desired = {"epsilon": [-1, 3], "v_prediction": velocity}[prediction_type]
    np.testing.assert_allclose(target, desired, rtol=1e-6)


def test_files_of_any_scheduler_class(scheduler_configs):
    first, second = (NoiseSchedule.from_dict(scheduler_configs[v]) for v in ("v1", "v2"))
    assert (first.prediction_type, second.prediction_type) == ("epsilon", "v_prediction")
    assert (first.steps_offset, first.set_alpha_to_one) == (1, False)
    assert first.timestep_spacing is None


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_round_trip(version, scheduler_configs):
    schedule = NoiseSchedule.from_dict(scheduler_configs[version])
    assert NoiseSchedule.from_dict(schedule.to_dict()) == schedule


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("beta_schedule", "squaredcos_cap_v2"),
        ("prediction_type", "sample"),
        ("predict_epsilon", False),
        ("trained_betas", [0.1]),
    ],
)
def test_unsupported_schedules_are_refused(field, value):
    with pytest.raises(UserError, match=field):
        NoiseSchedule.from_dict(BY_HAND | {field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("timestep_spacing", "random"),
        ("clip_sample", True),
        ("thresholding", True),
        ("use_karras_sigmas", True),
        ("use_beta_sigmas", True),
        ("algorithm_type", "dpmsolver+++"),
        ("a_field_of_tomorrow", 3),
    ],
)
def test_training_reads_past_what_only_samplers_need(field, value):
    plain, other = (
        NoiseSchedule.from_dict(BY_HAND),
        NoiseSchedule.from_dict(BY_HAND | {field: value}),
    )
    np.testing.assert_array_equal(other.alphas_cumprod, plain.alphas_cumprod)
    assert field == "timestep_spacing" or repr(other) == repr(plain)  # Hence one fingerprint.
    assert other != plain  # Yet compiled samplers tell them apart.


def test_betas_of_the_file_itself():
    schedule = NoiseSchedule.from_dict(BY_HAND | {"trained_betas": [0.5, 0.5, 0.2]})
    np.testing.assert_allclose(schedule.alphas_cumprod, [0.5, 0.25, 0.2], rtol=1e-6)
    assert "trained_betas=(0.5, 0.5, 0.2)" in repr(schedule)
    assert "trained_betas" not in repr(NoiseSchedule.from_dict(BY_HAND))


def test_a_last_timestep_of_noise_alone():
    """Square roots are shifted to end at 0 and stretched to begin where they began."""
    schedule = NoiseSchedule.from_dict(BY_HAND | {"rescale_betas_zero_snr": True})
    root = np.sqrt(SIGNAL)
    desired = ((root - root[2]) * root[0] / (root[0] - root[2])) ** 2
    np.testing.assert_allclose(schedule.alphas_cumprod, desired, atol=1e-6)
    assert schedule.alphas_cumprod[-1] == 0


def test_where_a_file_is_silent_its_class_decides():
    heun = NoiseSchedule.from_dict({"_class_name": "HeunDiscreteScheduler"})
    lcm = NoiseSchedule.from_dict({"_class_name": "LCMScheduler"})
    ddim = NoiseSchedule.from_dict({"_class_name": "DDIMScheduler"})
    assert (heun.beta_start, heun.beta_end, heun.beta_schedule) == (0.00085, 0.012, "linear")
    assert (lcm.beta_start, lcm.beta_end, lcm.beta_schedule) == (0.00085, 0.012, "scaled_linear")
    assert (ddim.beta_start, ddim.beta_end, ddim.beta_schedule) == (0.0001, 0.02, "linear")
    with_noise = NoiseSchedule.from_dict({"_class_name": "DPMSolverSDEScheduler"})
    assert (with_noise.beta_start, with_noise.beta_end) == (0.00085, 0.012)


@pytest.mark.parametrize(
    "raw",
    [
        # CosXL's, and one of rectified flow that was made of another class's file.
        {"_class_name": "EDMEulerScheduler", "sigma_max": 120, "prediction_type": "v_prediction"},
        BY_HAND | {"_class_name": "FlowMatchEulerDiscreteScheduler", "beta_schedule": "linear"},
        {"_class_name": "SchedulerOfTomorrow"},
        {"_class_name": "SchedulerOfTomorrow", "beta_start": 0.1, "beta_end": 0.3},
    ],
)
def test_noise_that_is_mixed_in_otherwise_is_refused(raw):
    with pytest.raises(UserError, match=f"_class_name='{raw['_class_name']}' is not a scheduler"):
        NoiseSchedule.from_dict(raw)


def test_a_class_that_is_not_known_may_say_its_betas():
    raw = BY_HAND | {"_class_name": "SchedulerOfTomorrow", "beta_schedule": "linear"}
    np.testing.assert_allclose(NoiseSchedule.from_dict(raw).alphas_cumprod, SIGNAL, rtol=1e-6)


def test_a_file_is_written_as_it_was_read(scheduler_configs):
    raw = scheduler_configs["v1"] | {"a_field_of_tomorrow": [1, {"a": None}]}
    assert NoiseSchedule.from_dict(raw).to_dict() == raw
    written = NoiseSchedule(beta_end=0.5).to_dict()
    assert (written["_class_name"], written["beta_end"]) == ("DDIMScheduler", 0.5)
    assert (written["clip_sample"], "trained_betas" in written) == (False, False)
