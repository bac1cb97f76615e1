"""Pictures from learned tokens."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree, UInt8
from ml_collections import ConfigDict
from PIL import Image

from common.clip import CLIP, encode_image
from common.clip.outputs import ImageTower
from common.diffusion import StableDiffusion
from common.diffusion.drawing import generate
from common.spread import on_all_devices, over_devices
from mcti_jax.picture_size import picture_size
from mcti_jax.readers import widths_of
from mcti_jax.widths import by_encoder

_PREPROCESSED = 1024  # pictures that CLIP reads as floats at once


def generate_classes(
    config: ConfigDict, sd: StableDiffusion, tokens: Float[np.ndarray, "k n d"]
) -> UInt8[np.ndarray, "k g h w 3"]:
    """Draw the configured number of pictures for each class."""
    options = config.generate
    words = {f"<{k}>": by_encoder(vectors, widths_of(sd)) for k, vectors in enumerate(tokens)}
    texts = [options.prompt.replace("{}", word) for word in words]
    prompts = [text for text in texts for _ in range(options.per_class)]
    images = generate(
        sd,
        prompts,
        words,
        size=picture_size(config, sd),
        sampler=options.sampler,
        steps=options.steps,
        guidance=options.guidance,
        batch=options.batch,
        seed=config.seed,
    )
    return images.reshape(len(tokens), options.per_class, *images.shape[1:])


def _features(params: PyTree, pixels: Array, *, tower: ImageTower) -> Array:
    return encode_image(tower, params, pixels).astype(jnp.float32)


def clip_features(clip: CLIP, images: UInt8[np.ndarray, "b h w 3"]) -> Float[np.ndarray, "b p"]:
    """Return CLIP image features of generated pictures, through the usual preprocessing."""
    vision, tower = on_all_devices(clip.params["vision"]), clip.image_tower

    def features(part: UInt8[np.ndarray, "b h w 3"]) -> Float[np.ndarray, "b p"]:
        pixels = np.stack([clip.preprocess(Image.fromarray(image)) for image in part])
        return over_devices(_features, vision, pixels, at_once=64, tower=tower)

    starts = range(0, len(images), _PREPROCESSED)
    return np.concatenate([features(images[start : start + _PREPROCESSED]) for start in starts])
