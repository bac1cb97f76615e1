"""Pictures from learned tokens."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree
from ml_collections import ConfigDict
from PIL import Image

from common.clip import CLIP, encode_image
from common.clip.outputs import ImageTower
from common.diffusion import StableDiffusion
from common.diffusion.drawing import generate
from common.photos.images import to_uint8
from common.spread import over_devices
from mcti_jax.picture_size import picture_size
from mcti_jax.readers import widths_of
from mcti_jax.widths import by_encoder


def generate_classes(
    config: ConfigDict, sd: StableDiffusion, tokens: Float[np.ndarray, "k n d"]
) -> Float[np.ndarray, "k g h w 3"]:
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


def clip_features(clip: CLIP, images: Float[np.ndarray, "b h w 3"]) -> np.ndarray:
    """Return CLIP image features `[b p]` of generated pictures, through the usual preprocessing."""
    pixels = np.stack([clip.preprocess(Image.fromarray(x)) for x in to_uint8(images)])
    vision, tower = clip.params["vision"], clip.image_tower
    return over_devices(_features, vision, pixels, at_once=64, tower=tower)
