import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.diffusion import AutoencoderKL
from common.pocket.renderer import SIZE
from tests.mcti.tiny import random_params
from tools.pocket import fitting
from tools.pocket.fitting import Allowance, fit, in_batches, learning_rate
from tools.pocket.recipe import Fit
from tools.pocket.train_clip import contrastive_loss, normalised
from tools.pocket.train_unet import SCHEDULE, scaling_factor
from tools.pocket.train_vae import LATENT_CHANNELS, centred, encode_pictures, vae_config

pytestmark = pytest.mark.usefixtures("quick_compiler")


def squared_distance(params, batch, key):
    del key
    return ((params["w"] - batch["x"]) ** 2).mean()


def run(seed: int) -> float:
    data = {"x": np.linspace(2.0, 4.0, 101)}
    plan = Fit(steps=200, batch=32, rate=0.1)
    params = {"w": jnp.zeros(())}
    return float(fit("toy", squared_distance, params, data, plan, jax.random.key(seed))["w"])


def test_fit_finds_the_mean_and_repeats_itself():
    assert run(0) == pytest.approx(3.0, abs=0.05)
    assert run(0) == run(0)
    assert run(0) != run(1)


def test_an_interrupted_fit_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "_KEPT_EVERY", 0.0)
    data, file = {"x": np.linspace(2.0, 4.0, 101)}, tmp_path / "toy.state.safetensors"
    plan = Fit(steps=200, batch=32, rate=0.1)

    def start():
        return {"w": jnp.zeros(())}

    class Stop(Exception):
        pass

    def stop_at_120(state, index, spent, file):
        keep(state, index, spent, file)
        if index >= 120:
            raise Stop

    keep = fitting._keep
    monkeypatch.setattr(fitting, "_keep", stop_at_120)
    with pytest.raises(Stop):
        fit("toy", squared_distance, start(), data, plan, jax.random.key(0), Allowance(0.0, file))
    monkeypatch.setattr(fitting, "_keep", keep)
    fitted = fit(
        "toy", squared_distance, start(), data, plan, jax.random.key(0), Allowance(0.0, file)
    )
    assert float(fitted["w"]) == run(0)


def test_a_fit_ends_with_its_seconds():
    data, plan = {"x": np.linspace(2.0, 4.0, 101)}, Fit(steps=10**9, batch=32, rate=0.1)
    began = time.monotonic()
    fitted = fit(
        "toy",
        squared_distance,
        {"w": jnp.zeros(())},
        data,
        plan,
        jax.random.key(0),
        Allowance(seconds=0.5),
    )
    assert time.monotonic() - began < 30
    assert float(fitted["w"]) == pytest.approx(3.0, abs=0.1)


def test_the_rate_rises_and_falls_to_zero():
    plan = Fit(steps=1, batch=1, rate=2.0)
    assert [learning_rate(plan, share) for share in (0.0, 0.025, 0.05)] == [0.0, 1.0, 2.0]
    assert learning_rate(plan, 0.525) == pytest.approx(1.0)
    assert learning_rate(plan, 1.0) == pytest.approx(0.0)


def test_only_matrices_decay():
    def nothing(params, batch, key):
        return 0.0 * (params["bias"].sum() + params["kernel"].sum() + batch.sum())

    params = {"bias": jnp.ones(2), "kernel": jnp.ones((2, 2))}
    plan = Fit(steps=40, batch=1, rate=0.1, weight_decay=0.5)
    fitted = fit("toy", nothing, params, np.ones(3), plan, jax.random.key(0))
    np.testing.assert_allclose(fitted["bias"], 1.0, rtol=1e-6)
    assert np.all(fitted["kernel"] < 0.7)


def test_in_batches_covers_every_row_once():
    rows = np.arange(7.0)
    double, negative = in_batches(lambda x: (2 * x, -x), rows, size=3)
    np.testing.assert_array_equal(double, 2 * rows)
    np.testing.assert_array_equal(negative, -rows)


def test_contrastive_loss_by_hand():
    images = jnp.array([[2.0, 0.0], [0.0, 5.0]])
    # Directions count, lengths do not: logits are the scale times the identity.
    value = contrastive_loss(images, jnp.eye(2), jnp.asarray(3.0))
    assert float(value) == pytest.approx(np.log(1 + np.exp(-3.0)), rel=1e-5)
    # One-sided: each text is nearest to image 0, so images and texts disagree.
    skewed = contrastive_loss(jnp.eye(2), jnp.array([[1.0, 0.0], [1.0, 0.0]]), jnp.asarray(3.0))
    to_image = (np.log(1 + np.exp(-3.0)) + np.log(1 + np.exp(3.0))) / 2
    assert float(skewed) == pytest.approx((np.log(2) + to_image) / 2, rel=1e-5)


def test_pixels_are_scaled_as_each_model_wants_them():
    pixels = jnp.asarray(np.array([0, 255], np.uint8).reshape(1, 1, 2, 1).repeat(3, -1))
    np.testing.assert_allclose(centred(pixels)[0, 0, :, 0], [-1, 1])
    expected = [(0 - 0.48145466) / 0.26862954, (1 - 0.48145466) / 0.26862954]
    np.testing.assert_allclose(normalised(pixels)[0, 0, :, 0], expected, rtol=1e-5)


def test_the_scaling_factor_gives_unit_variance():
    generator = np.random.default_rng(0)
    mean, std = 3 * generator.normal(size=(50, 8, 8, 4)), np.full((50, 8, 8, 4), 4.0)
    sample = mean + std * generator.normal(size=mean.shape)
    assert (scaling_factor(mean, std) * sample).std() == pytest.approx(1.0, rel=0.02)


def test_the_schedule_is_stable_diffusion_s():
    assert SCHEDULE.alphas_cumprod[[0, 999]] == pytest.approx([0.99915, 0.0046600], rel=1e-4)
    assert SCHEDULE.prediction_type == "epsilon"


def test_pictures_become_latents_of_a_quarter_of_their_size():
    params = random_params(AutoencoderKL(vae_config()), jnp.zeros((1, SIZE, SIZE, 3)))
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    mean, std = encode_pictures(vae_config(), params, pixels)
    assert mean.shape == std.shape == (3, 8, 8, LATENT_CHANNELS)
    assert np.all(std > 0)
