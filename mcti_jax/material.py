"""The models and photos of a run, opened and checked.

What the models make of the photos is `mcti_jax.encoding`'s.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import flax.struct
import numpy as np
from ml_collections import ConfigDict

from common.clip import CLIP, load_clip
from common.data import Dataset, ImageSplit, few_shot, open_dataset
from common.data.clip_features import MIRROR, ORIGINAL, image_features
from common.diffusion import StableDiffusion, load_stable_diffusion
from common.errors import UserError
from common.precision import frozen_dtype
from mcti_jax.encoding import vae_posteriors


@flax.struct.dataclass
class Encoded:
    """What the frozen networks make of the training photos and of their mirrors.

    Attributes:
      mean, logvar: VAE posterior, `[2 b h w c]`.
      features: CLIP image features, not normalised, `[2 b p]`.
    """

    mean: Any
    logvar: Any
    features: Any


@dataclass(frozen=True)
class Material:
    """Frozen models and the chosen photos; what they make of them is computed when asked for.

    Attributes:
      sd, clip: the models.
      classnames: K names.
      train, test: photos to learn from and to be measured on.
      size: side in pixels of the pictures that the VAE sees.
      cache: folder of what was encoded before.
    """

    sd: StableDiffusion
    clip: CLIP
    classnames: tuple[str, ...]
    train: ImageSplit
    test: ImageSplit
    size: int
    cache: Path

    @cached_property
    def encoded(self) -> Encoded:
        """The training photos as the objective reads them."""
        latents = vae_posteriors(self.sd, self.train, self.size, self.cache)
        features = [
            image_features(self.clip, self.train, self.cache, version)
            for version in (ORIGINAL, MIRROR)
        ]
        return Encoded(latents["mean"], latents["logvar"], np.stack(features))

    @cached_property
    def test_features(self) -> np.ndarray:
        """CLIP image features of the test photos, not normalised, `[b p]`; b may be 0."""
        return image_features(self.clip, self.test, self.cache)


def gather(config: ConfigDict) -> Material:
    """Loads the models and opens the photos.

    Raises:
      UserError: a model or data set cannot be had, or the two models do not fit.
    """
    dataset = open_dataset(config.data, holdout=config.holdout)
    if not isinstance(dataset, Dataset):
        raise UserError(
            f"data={config.data!r} holds features only; MC-TI learns from photos: "
            "give pocket:, folder:, coop: or tfds:."
        )
    train = dataset.train
    if config.shots:
        train = few_shot(train, config.shots, config.shots_seed)
    dtype = frozen_dtype(config.dtype)
    sd = load_stable_diffusion(config.model, dtype)
    clip = load_clip(config.clip, dtype)
    require_same_width(sd, clip, config)
    return Material(
        sd=sd,
        clip=clip,
        classnames=dataset.classnames,
        train=train,
        test=dataset.test,
        size=resolution(config, sd),
        cache=Path(config.cache).expanduser(),
    )


def require_same_width(sd: StableDiffusion, clip: CLIP, config: ConfigDict) -> None:
    """Tokens live in both text towers, so both must have one width."""
    widths = sd.text_tower.config.width, clip.text_tower.config.width
    if widths[0] != widths[1]:
        raise UserError(
            f"model={config.model!r} has text width {widths[0]} but clip={config.clip!r} has "
            f"{widths[1]}: choose the CLIP whose text tower this Stable Diffusion uses."
        )


def resolution(config: ConfigDict, sd: StableDiffusion) -> int:
    """Side of the training pictures in pixels."""
    size = config.resolution or sd.image_size
    if size % sd.downsampling:
        raise UserError(
            f"resolution={size} is not a multiple of {sd.downsampling}, the VAE's reduction: "
            f"take {size - size % sd.downsampling or sd.downsampling}."
        )
    return size


def data_fingerprint(material: Material) -> str:
    """16 hex characters for the chosen training and test photos."""
    text = material.train.fingerprint + material.test.fingerprint
    return hashlib.sha256(text.encode()).hexdigest()[:16]
