"""The models of a run beside its photos, which `mcti_jax.photos` opens.

What the models make of the photos is `mcti_jax.encoding`'s.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import flax.struct
import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

from common.clip import CLIP, load_clip
from common.data import (
    FeatureSplit,
    ImageSplit,
    OpenedDataset,
    few_shot,
)
from common.data.clip_features import MIRROR, ORIGINAL, Version, image_features
from common.data.passed_over import CAPTION, listed
from common.data.templates import TEMPLATES
from common.diffusion import StableDiffusion, load_stable_diffusion
from common.photos.broken import named_together
from common.precision import frozen_dtype
from common.protocols.models import cache_of
from mcti_jax.encoding import vae_posteriors
from mcti_jax.mixed import NamedClasses, named_texts, require_others
from mcti_jax.options import shots_of
from mcti_jax.photos import open_own, open_photos, require_features_of, require_photos
from mcti_jax.picture_size import picture_size
from mcti_jax.readers import require_same_width
from mcti_jax.starts import names_tokens


@flax.struct.dataclass
class EncodedPhotos:
    """What the frozen networks make of the training photos and of their mirrors.

    Attributes:
      mean, logvar: VAE posterior, `[m b h w c]`, m being 2, or 1 where mirrors are not known; of
        one number a photo where nothing is denoised.
      features: CLIP image features, not normalised, `[m b p]`.
    """

    mean: Any
    logvar: Any
    features: Any


@dataclass(frozen=True)
class Material:
    """Frozen models and the chosen photos; what they make of them is computed when asked for.

    Attributes:
      sd, clip: The models.
      classnames: K names.
      train, test: Photos to learn from and to be measured on, or their features.
      size: Width and height in pixels of the pictures that the VAE sees.
      cache: Folder of what was encoded before.
      denoised: Whether the photos are needed as the VAE sees them.
      found: Photos of the training part, of which `train` are the chosen ones.
      added: Classes of the data set that is learned beside those of an earlier run.
      beside: Classes that share the classifier by their names, and photos to measure on.
      templates: Prompts of training, with `{}` for the token.
      fit: How photos are given that size, a key of `FITS`.
      passed_over: What else lies beside the photos, and why it is not used; may be empty.
    """

    sd: StableDiffusion
    clip: CLIP
    classnames: tuple[str, ...]
    train: ImageSplit | FeatureSplit
    test: ImageSplit | FeatureSplit
    size: tuple[int, int]
    cache: Path
    denoised: bool = True
    found: int = 0
    added: tuple[str, ...] = ()
    beside: OpenedDataset | None = None
    templates: tuple[str, ...] = TEMPLATES["textual_inversion"]
    fit: str = "squash"
    passed_over: str = ""

    @cached_property
    def encoded(self) -> EncodedPhotos:
        """The training photos as the objective reads them."""
        versions = [self.train_features, self._features(self.train, MIRROR)]
        features = np.stack([version for version in versions if version is not None])
        if not self.denoised:
            nothing = np.zeros((*features.shape[:2], 1, 1, 1), np.float32)
            return EncodedPhotos(nothing, nothing, features)
        latents = vae_posteriors(self.sd, self.train, self.size, self.cache, self.fit)
        return EncodedPhotos(latents["mean"], latents["logvar"], features)

    @cached_property
    def train_features(self) -> np.ndarray:
        """CLIP image features of the training photos as they are, not normalised, `[b p]`."""
        return self._features(self.train, ORIGINAL)

    @cached_property
    def test_features(self) -> np.ndarray:
        """CLIP image features of the test photos, not normalised, `[b p]`; b may be 0."""
        return self._features(self.test, ORIGINAL)

    @cached_property
    def others(self) -> NamedClasses | None:
        """The classes that share the classifier by their names."""
        if self.beside is None:
            return None
        test = self.beside.test
        return NamedClasses(self.beside.classnames, self._features(test, ORIGINAL), test.labels)

    @cached_property
    def named_texts(self) -> Float[np.ndarray, "f t p"] | None:
        """Unit-length text features of these names in the templates of training."""
        if self.beside is None:
            return None
        return named_texts(self.clip, self.beside.classnames, self.templates, self.cache)

    def _features(
        self, split: ImageSplit | FeatureSplit, version: Version
    ) -> Float[np.ndarray, "b p"] | None:
        """Return the features of photos in one version; None where they are not known."""
        if isinstance(split, ImageSplit):
            return image_features(self.clip, split, self.cache, version)
        features = split.features if version == ORIGINAL else split.mirrored
        return None if features is None else features.astype(np.float32)

    def encode_all(self) -> None:
        """Read every photo that the run will need, so that none is found broken at its end."""
        parts = [self.train, self.test, *([self.beside.test] if self.beside else [])]
        with named_together(*(part for part in parts if isinstance(part, ImageSplit))):
            _ = self.test_features, self.encoded, self.others


def gather(config: ConfigDict) -> Material:
    """Load the models and open the photos.

    Raises:
      UserError: A model or data set cannot be had, or the two models do not fit, or a class has no
        photo to learn from.
    """
    dataset, added = open_own(config)
    require_photos(dataset)
    return with_models(config, dataset, added)


def with_models(
    config: ConfigDict, dataset: OpenedDataset, added: tuple[str, ...] = ()
) -> Material:
    """Load the models for an opened data set, of which `config` says how much is learned from.

    Args:
      config: The run's.
      dataset: Without a training part it can only be measured on.
      added: Those of its classes that are learned beside an earlier run's.

    Raises:
      UserError: A model cannot be had, or the two do not fit, or the photos do not.
    """
    train, shots = dataset.train, shots_of(config)
    if shots and len(train):
        train = few_shot(train, shots, config.shots_seed)
    beside = open_photos(config, config.beside) if config.beside else None
    if beside:
        require_others(dataset.classnames, beside.classnames, f"beside={config.beside!r}")
    dtype = frozen_dtype(config.dtype)
    drawn = config.generate.per_class or config.preview_every
    networks = bool(config.alpha or drawn or names_tokens(config))
    sd = load_stable_diffusion(config.model, dtype, networks=networks)
    clip = load_clip(config.clip, dtype, image_size=config.image_size)
    require_same_width(sd, clip, config)
    for part in (train, dataset.test, *([beside.test] if beside else [])):
        require_features_of(clip, part, config)
    return Material(
        sd=sd,
        clip=clip,
        classnames=dataset.classnames,
        train=train,
        test=dataset.test,
        size=picture_size(config, sd),
        cache=cache_of(config),
        denoised=bool(config.alpha),
        found=len(dataset.train),
        added=added,
        beside=beside,
        templates=TEMPLATES[config.templates],
        fit=config.fit,
        passed_over=listed(dataset.passed_over, (CAPTION,) if config.captions else ()),
    )
