"""Pictures from learned tokens."""

import numpy as np
from jaxtyping import Float, UInt8
from ml_collections import ConfigDict
from PIL import Image

from common.clip import CLIP
from common.data.clip_features import PHOTOS_AT_ONCE, photo_encoder
from common.diffusion import StableDiffusion
from common.diffusion.drawing import generate
from common.encoding import feature_pass
from mcti_jax.picture_size import picture_size
from mcti_jax.readers import widths_of
from mcti_jax.widths import by_encoder


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


def clip_features(clip: CLIP, images: UInt8[np.ndarray, "b h w 3"]) -> Float[np.ndarray, "b p"]:
    """Return CLIP image features of generated pictures, through the usual preprocessing."""

    def load(row: int) -> Float[np.ndarray, "h w 3"]:
        return clip.preprocess(Image.fromarray(images[row]))

    encode, vision = photo_encoder(clip.image_tower, ("features",)), clip.params["vision"]
    return feature_pass(encode, vision, load, len(images), batch_size=PHOTOS_AT_ONCE)["features"]
