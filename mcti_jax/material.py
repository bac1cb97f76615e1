"""The models and photos of a run, opened and checked.

What the models make of the photos is `mcti_jax.encoding`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import flax.struct
import numpy as np
from ml_collections import ConfigDict

from common.clip import CLIP, load_clip
from common.clip.text import require_causal
from common.data import Dataset, ImageSplit, few_shot, open_dataset
from common.data.clip_features import MIRROR, ORIGINAL, image_features
from common.data.passed_over import listed
from common.diffusion import StableDiffusion, load_stable_diffusion
from common.errors import UserError
from common.photos.broken import named_together
from common.precision import frozen_dtype
from common.weights.fingerprint import text_digest
from mcti_jax.encoding import no_posteriors, vae_posteriors
from mcti_jax.options import shots_of


@flax.struct.dataclass
class EncodedPhotos:
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
      size: side in pixels of the pictures that the VAE sees; 0 where nothing is denoised.
      cache: folder of what was encoded before.
      found: photos of the training part, of which `train` are the chosen ones.
      passed_over: what else lies beside the photos, and why it is not used; may be empty.
    """

    sd: StableDiffusion
    clip: CLIP
    classnames: tuple[str, ...]
    train: ImageSplit
    test: ImageSplit
    size: int
    cache: Path
    found: int = 0
    passed_over: str = ""

    @cached_property
    def encoded(self) -> EncodedPhotos:
        """The training photos as the objective reads them."""
        mirrored = image_features(self.clip, self.train, self.cache, MIRROR)
        if self.size:
            latents = vae_posteriors(self.sd, self.train, self.size, self.cache)
        else:
            latents = no_posteriors(len(self.train))
        features = np.stack([self.train_features, mirrored])
        return EncodedPhotos(latents["mean"], latents["logvar"], features)

    @cached_property
    def train_features(self) -> np.ndarray:
        """CLIP image features of the training photos as they are, not normalised, `[b p]`."""
        return image_features(self.clip, self.train, self.cache, ORIGINAL)

    @cached_property
    def test_features(self) -> np.ndarray:
        """CLIP image features of the test photos, not normalised, `[b p]`; b may be 0."""
        return image_features(self.clip, self.test, self.cache)

    def encode_all(self) -> None:
        """Read every photo that the run will need, so that none is found broken at its end."""
        with named_together(self.train, self.test):
            _ = self.test_features, self.encoded


def gather(config: ConfigDict) -> Material:
    """Load the models and open the photos.

    Raises:
      UserError: a model or data set cannot be had, or the two models do not fit.
    """
    dataset = open_dataset(config.data, holdout=config.holdout)
    if not isinstance(dataset, Dataset):
        raise UserError(
            f"data={config.data!r} holds features only; MC-TI learns from photos: "
            "give pocket:, folder:, coop: or tfds:."
        )
    check_classes(dataset.classnames, config)
    train = dataset.train
    if shots := shots_of(config):
        train = few_shot(train, shots, config.shots_seed)
    dtype = frozen_dtype(config.dtype)
    networks = bool(config.alpha or config.generate.per_class)
    sd = load_stable_diffusion(config.model, dtype, networks=networks)
    clip = load_clip(config.clip, dtype)
    require_same_width(sd, clip, config)
    side = resolution(config, sd)
    return Material(
        sd=sd,
        clip=clip,
        classnames=dataset.classnames,
        train=train,
        test=dataset.test,
        size=side if config.alpha else 0,
        cache=Path(config.cache).expanduser(),
        found=len(dataset.train),
        passed_over=listed(dataset.passed_over),
    )


def check_classes(classnames: Sequence[str], config: ConfigDict) -> None:
    """Refuse a single class without others to distinguish, where nothing else is learned.

    Raises:
      UserError: There is one class, and `alpha` is 0.
    """
    if len(classnames) == 1 and not config.alpha:
        raise UserError(
            f"{config.data!r} has one class, from which alpha=0 leaves nothing to learn: there is "
            "no other class to tell it from. Give alpha=1, or a second class."
        )


def require_same_width(sd: StableDiffusion, clip: CLIP, config: ConfigDict) -> None:
    """Refuse text towers of different widths: tokens are used in both, without padding."""
    for name, model in (("model", sd), ("clip", clip)):
        require_causal(model.text_tower.config, f"{name}={config[name]!r}: MC-TI")
    widths = sd.text_tower.config.width, clip.text_tower.config.width
    if widths[0] != widths[1]:
        raise UserError(
            f"model={config.model!r} has text width {widths[0]} but clip={config.clip!r} has "
            f"{widths[1]}: choose the CLIP whose text tower this Stable Diffusion uses."
        )


def resolution(config: ConfigDict, sd: StableDiffusion) -> int:
    """Return the side of the training pictures in pixels."""
    return sd.require_size("resolution", config.resolution or sd.image_size)


def describe(config: ConfigDict, material: Material) -> dict[str, str]:
    """Return what a run learns from and is measured on, as rows of its first table."""
    names, train, test = material.classnames, len(material.train), len(material.test)
    shots = shots_of(config)
    chosen = f" ({shots} of each class, shots={shots})" if train < material.found else ""
    kept = f"{test} photos"
    if not test:
        kept = "no photo, so no accuracy is measured"
    elif len(names) == 1:
        kept += "; of one class no accuracy is measured"
    return {
        "classes": f"{len(names)}: {_listed(names)}",
        "learns from": f"{train} of {material.found} photos{chosen}",
        "passed over": material.passed_over,
        "kept for the test": kept,
        "model": f"Stable Diffusion {config.model}, CLIP {config.clip}",
    }


def _listed(names: Sequence[str], room: int = 60) -> str:
    """Return as many of the names as fit into a line."""
    text = ", ".join(names)
    return text if len(text) <= room else f"{text[:room].rpartition(', ')[0] or text[:room]}, …"


def whole_fingerprint(config: ConfigDict, sd: StableDiffusion) -> str:
    """Return the fingerprint of all networks, which are loaded for it if they were not."""
    if "unet" not in sd.params:
        sd = load_stable_diffusion(config.model, frozen_dtype(config.dtype))
    return sd.fingerprint


def names_fingerprint(classnames: Sequence[str]) -> str:
    """Return 16 hex characters for the names of the classes, in order."""
    return text_digest("\0".join(classnames))
