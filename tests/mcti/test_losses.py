"""The two terms by themselves, against formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.diffusion import NoiseSchedule
from mcti_jax.losses import classify, denoising_error
from mcti_jax.networks import Networks
from tests.mcti.synthetic_bank import COUNTS, LABELS, synthetic_bank, unit
from tests.mcti.tiny import SCHEDULE

pytestmark = pytest.mark.usefixtures("quick_compiler")
CLASSES = len(COUNTS)


@pytest.fixture(scope="module")
def images():
    """The first photo of each class."""
    features = unit(synthetic_bank()[0])
    return features[np.searchsorted(LABELS, np.arange(CLASSES))]


def softmax(logits):
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


@pytest.mark.parametrize("scale", [10.0, 100.0])
def test_gradient_of_the_cross_entropy_is_its_closed_form(images, scale):
    """(I - u u^T) F^T (softmax - onehot) s / |text|, in float64, on real geometry."""
    text = 7 * images[3] + np.random.default_rng(0).standard_normal(768)
    u = text / np.linalg.norm(text)
    probabilities = softmax(scale * images @ u)
    projected = images.T @ (probabilities - np.eye(CLASSES)[3])
    expected = scale * (projected - u * (u @ projected)) / np.linalg.norm(text)

    def loss(text):
        error, _ = classify(
            text[None], jnp.asarray(images, jnp.float32)[None, None], jnp.array([3]), scale
        )
        return error[0]

    value, gradient = jax.value_and_grad(loss)(jnp.asarray(text, jnp.float32))
    np.testing.assert_allclose(value, -np.log(probabilities[3]), rtol=2e-4)
    assert np.abs(gradient - expected).max() < 1e-4 * np.abs(expected).max()


def test_draws_are_averaged_after_the_cross_entropy(images):
    texts = jnp.asarray(3 * images[:2], jnp.float32)
    draws = jnp.asarray(np.stack([images, images[::-1], images]), jnp.float32)
    label = jnp.array([0, 1])
    together = classify(texts, jnp.broadcast_to(draws, (2, *draws.shape)), label, 10.0)
    single = [
        classify(texts, jnp.broadcast_to(each[None], (2, 1, *each.shape)), label, 10.0)
        for each in draws
    ]
    for found, expected in zip(together, zip(*single, strict=True), strict=True):
        np.testing.assert_allclose(found, np.mean(expected, axis=0), rtol=1e-5)
    np.testing.assert_allclose(together[1], 2 / 3, rtol=1e-6)


class Perfect:
    """A denoiser that knows what is asked for, but for an error of its own."""

    def __init__(self, answer):
        self.answer = answer

    def apply(self, variables, latents, timesteps, states):
        return self.answer


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_denoising_error_is_the_mean_square_distance_to_the_target(prediction):
    latents, noise = np.random.default_rng(0).standard_normal((2, 3, 4, 4, 4)).astype("f4")
    timestep = np.array([0, 500, 999])
    schedule = NoiseSchedule(**SCHEDULE, prediction_type=prediction)
    share = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)[timestep]
    alpha, sigma = (np.sqrt(x)[:, None, None, None] for x in (share, 1 - share))
    target = noise if prediction == "epsilon" else alpha * noise - sigma * latents
    off = np.array([0, 1, 3], np.float32)[:, None, None, None]
    # A real UNet is checked by its type; the stand-in only by what it answers.
    networks = object.__new__(Networks)
    object.__setattr__(networks, "unet", Perfect(jnp.asarray(target + off)))
    object.__setattr__(networks, "schedule", schedule)
    error = denoising_error(
        networks,
        {},
        jnp.zeros((3, 7, 2)),
        jnp.asarray(latents),
        jnp.asarray(noise),
        jnp.asarray(timestep),
    )
    np.testing.assert_allclose(error, [0, 1, 9], atol=1e-5)
