"""Photos of noise, and tiny models in place of those that a config names."""

import hashlib
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from PIL import Image

from common.data import Dataset, ImageSplit
from mcti_jax import material, photos
from tests.mcti.tiny import models, random_params


@dataclass(frozen=True)
class Noise:
    """A photo that is wider than high, so that squashing is not cropping."""

    seed: int

    def open(self):
        pixels = np.random.default_rng(self.seed).integers(0, 256, (9, 20, 3), dtype=np.uint8)
        return Image.fromarray(pixels)

    def digest(self):
        return hashlib.sha256(str(self.seed).encode()).digest()


def split(count, seed):
    """`count` photos of two classes in turn."""
    noise = tuple(Noise(seed + n) for n in range(count))
    return ImageSplit(np.arange(count) % 2, tuple(str(x.seed) for x in noise), noise)


def encoders():
    """The tiny models with weights for what sees photos."""
    sd, clip = models()
    pixels = jnp.zeros((1, 8, 8, 3))
    return models(vae=random_params(sd.vae, pixels), vision=random_params(clip.image_tower, pixels))


def answer(monkeypatch, sd, clip, train):
    """Let `material.gather` find `train` photos and these models, whatever is asked for."""
    data = Dataset("noise", ("a", "b"), train=split(train, 0), test=split(2, 10))
    monkeypatch.setattr(photos, "open_dataset", lambda spec, holdout: data)
    for name, value in {
        "load_stable_diffusion": lambda source, dtype, networks: sd,
        "load_clip": lambda source, dtype, image_size: clip,
    }.items():
        monkeypatch.setattr(material, name, value)
    return data
