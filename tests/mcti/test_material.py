"""The caches: every photo and its mirror, as the reference would encode them in each step."""

import jax
import numpy as np
import pytest
from PIL import Image

from common.data import Dataset
from common.errors import UserError
from mcti_jax import material
from tests.mcti.noise import Noise, answer, encoders
from tests.mcti.tiny import QUICK, settings

SIZE = 8


@pytest.fixture(scope="module")
def loaded():
    return encoders()


@pytest.fixture
def gathered(loaded, tmp_path, monkeypatch):
    answer(monkeypatch, *loaded, train=4)
    config = settings(cache=str(tmp_path), shots=0, progress=False, resolution=SIZE)
    return material.gather(config)


def test_a_class_without_photos_is_refused_before_models_are_loaded(monkeypatch):
    pixels = np.zeros((2, 4, 4, 3), np.uint8)
    test = pixels, [1, 1]
    data = Dataset.from_arrays(pixels, [0, 2], ["a", "b", "c"], test=test, name="mine")
    monkeypatch.setattr(material, "with_models", lambda *_: pytest.fail("models are loaded"))
    with pytest.raises(UserError, match="mine has no photo to learn 'b' from: add photos"):
        material.gather(settings(data=data.spec, shots=0))


def reference_pixels(image, flip):
    """The reference's dataset: no crop, bicubic on uint8, then perhaps a flip."""
    image = image.resize((SIZE, SIZE), resample=Image.Resampling.BICUBIC)
    if flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return (np.array(image).astype(np.uint8) / 127.5 - 1.0).astype(np.float32)


def test_posteriors_of_photos_and_mirrors(gathered, loaded):
    vae, params = loaded[0].vae, loaded[0].params["vae"]
    encode = jax.jit(
        lambda pixels: vae.apply({"params": params}, pixels, method="encode"),
        compiler_options=QUICK,
    )
    found = gathered.encoded
    for flip in (0, 1):
        pixels = [reference_pixels(Noise(n).open(), flip) for n in range(4)]
        moments = encode(np.stack(pixels))
        np.testing.assert_allclose(found.mean[flip], moments.mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.logvar[flip], moments.logvar, rtol=1e-4, atol=1e-5)
    assert np.abs(found.mean[1] - found.mean[0, :, :, ::-1]).max() > 0.01


def test_features_of_photos_and_mirrors(gathered, loaded):
    clip = loaded[1]
    encode = jax.jit(
        lambda pixels: clip.image_tower.apply({"params": clip.params["vision"]}, pixels),
        compiler_options=QUICK,
    )
    for flip in (0, 1):
        photos = [Noise(n).open() for n in range(4)]
        if flip:
            photos = [image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for image in photos]
        features = encode(np.stack([clip.preprocess(image) for image in photos])).features
        np.testing.assert_allclose(gathered.encoded.features[flip], features, rtol=1e-4, atol=1e-5)
    assert gathered.test_features.shape == (2, 24)
    assert np.linalg.norm(gathered.encoded.features, axis=-1).std() > 0
