"""What MC-TI needs of its models and photos to be compiled: their shapes."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from common.clip import CLIP
from common.clip.known import describe_clip
from common.data import few_shot, open_dataset
from common.diffusion import StableDiffusion
from common.diffusion.known import describe_stable_diffusion
from common.errors import UserError
from common.precision import frozen_dtype
from mcti_jax.material import EncodedPhotos
from mcti_jax.options import shots_of
from mcti_jax.picture_size import picture_size
from mcti_jax.readers import require_same_width


@dataclass(frozen=True)
class Outline:
    """The counterpart of `Material` without weights and photos.

    Attributes:
      sd, clip: The models, with shapes in place of weights.
      classes: K.
      labels: Class of each training photo.
      encoded: Shapes of the caches.
    """

    sd: StableDiffusion
    clip: CLIP
    classes: int
    labels: np.ndarray
    encoded: EncodedPhotos


def check_outlined(config: ConfigDict) -> None:
    """Refuse what needs the tokens of an earlier run, or texts of names.

    Raises:
      UserError: It names the field.
    """
    for name in ("add", "learn", "beside"):
        if config[name]:
            raise UserError(
                f"{name}={config[name]!r} depends on tokens or texts that are not read here: leave "
                "it out, and give as many classes as are to be learned, classes=N."
            )


def outline_of(config: ConfigDict, platform: str) -> Outline:
    """Describe what a run of `config` on a platform would gather.

    Raises:
      UserError: The models or the number of photos are not known.
    """
    dtype = frozen_dtype(config.dtype, platform)
    sd = describe_stable_diffusion(config.model, dtype)
    clip = describe_clip(config.clip, dtype, image_size=config.image_size)
    require_same_width(sd, clip, config)
    classes, labels = _count(config)
    width, height = (side // sd.downsampling for side in picture_size(config, sd))
    one = height, width, sd.vae.config.latent_channels
    latents = 2, len(labels), *(one if config.alpha else (1, 1, 1))
    features = (2, len(labels), clip.config.vision.projection)
    encoded = EncodedPhotos(
        mean=jax.ShapeDtypeStruct(latents, jnp.float32),
        logvar=jax.ShapeDtypeStruct(latents, jnp.float32),
        features=jax.ShapeDtypeStruct(features, jnp.float32),
    )
    return Outline(sd, clip, classes, labels, encoded)


def _count(config: ConfigDict) -> tuple[int, np.ndarray]:
    """Return the number of classes and the training labels; opens the data set only if it must."""
    if config.classes:
        shots = shots_of(config)
        if not shots:
            raise UserError(
                f"shots=0 takes all photos of {config.data!r}, whose number is not known here: "
                "give shots=N, or classes=0 to have the data set opened and counted."
            )
        return config.classes, np.repeat(np.arange(config.classes), shots)
    dataset = open_dataset(config.data, holdout=config.holdout)
    shots = shots_of(config)
    train = few_shot(dataset.train, shots, config.shots_seed) if shots else None
    return len(dataset.classnames), (train or dataset.train).labels
