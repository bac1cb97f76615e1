"""Pictures from learned tokens."""

from collections.abc import Mapping, Sequence

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
    words = {f"<{k}>": vectors for k, vectors in enumerate(tokens)}
    texts = [config.generate.prompt.replace("{}", word) for word in words]
    return draw_texts(config, sd, texts, words, config.generate.per_class, config.seed)


def draw_texts(
    config: ConfigDict,
    sd: StableDiffusion,
    texts: Sequence[str],
    words: Mapping[str, Float[np.ndarray, "n d"]],
    count: int,
    seed: int,
) -> UInt8[np.ndarray, "t count h w 3"]:
    """Draw each text several times, with the sampler and in the size of the run's pictures.

    Args:
      config: The run's.
      sd: What draws.
      texts: May hold the words.
      words: Learned vectors by word.
      count: Pictures of each text.
      seed: Of the noise.
    """
    options, widths = config.generate, widths_of(sd)
    pictures = generate(
        sd,
        [text for text in texts for _ in range(count)],
        {word: by_encoder(vectors, widths) for word, vectors in words.items()},
        size=picture_size(config, sd),
        sampler=options.sampler,
        steps=options.steps,
        guidance=options.guidance,
        batch=options.batch,
        seed=seed,
    )
    return pictures.reshape(len(texts), count, *pictures.shape[1:])


def clip_features(clip: CLIP, images: UInt8[np.ndarray, "b h w 3"]) -> Float[np.ndarray, "b p"]:
    """Return CLIP image features of generated pictures, through the usual preprocessing."""

    def load(row: int) -> Float[np.ndarray, "h w 3"]:
        return clip.preprocess(Image.fromarray(images[row]))

    encode, vision = photo_encoder(clip.image_tower, ("features",)), clip.params["vision"]
    return feature_pass(encode, vision, load, len(images), batch_size=PHOTOS_AT_ONCE)["features"]
