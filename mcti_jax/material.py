"""What MC-TI computes once, on frozen networks, before any token is trained.

The reference encodes each photo with the VAE in every step, which is 40 % of its arithmetic.
Each photo has exactly two versions (itself and its mirror), so the posteriors of both are
cached, and drawing from them has the very distribution of encoding anew.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from common.clip import CLIP, load_clip
from common.data import Dataset, ImageSplit, few_shot, open_dataset
from common.data.cache import cached
from common.data.encoding import feature_pass
from common.data.images import mirror, squash, to_pixels
from common.diffusion import AutoencoderKL, StableDiffusion, load_stable_diffusion
from common.errors import UserError
from common.training.progress import Progress

# Pictures at once on each host; the VAE's activations are what limits it.
ENCODE_BATCH = 32


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
        features = [image_features(self.clip, self.train, self.cache, flip) for flip in (0, 1)]
        return Encoded(latents["mean"], latents["logvar"], np.stack(features))

    @cached_property
    def test_features(self) -> np.ndarray:
        """CLIP image features of the test photos, not normalised, `[b p]`; b may be 0."""
        if not len(self.test):
            return np.zeros((0, self.clip.config.vision.projection), np.float32)
        return image_features(self.clip, self.test, self.cache, flip=0)


def frozen_dtype(name: str, platform: str | None = None) -> jnp.dtype:
    """The dtype of frozen networks that `config.dtype` means on a platform, or on this one."""
    if name == "auto":
        name = "float32" if (platform or jax.default_backend()) == "cpu" else "bfloat16"
    table = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
    if name not in table:
        raise UserError(f"dtype={name!r} is unknown; choose auto, {' or '.join(table)}.")
    return jnp.dtype(table[name])


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


def vae_posteriors(
    sd: StableDiffusion, split: ImageSplit, size: int, cache: Path
) -> dict[str, np.ndarray]:
    """Posterior mean and log variance of each photo and its mirror, `[2 b h w c]` each.

    The photo is squashed to a square and flipped after that, as the reference does. The flip
    of a latent is not the latent of the flip, so mirrors are encoded too.
    """
    vae = sd.vae

    def encode(params: dict, pixels: jax.Array) -> dict[str, jax.Array]:
        moments = vae.apply({"params": params}, pixels, method=AutoencoderKL.encode)
        return {"mean": moments.mean, "logvar": moments.logvar}

    def load(row: int) -> np.ndarray:
        flip, photo = divmod(row, len(split))
        pixels = squash(split.load(photo), size)
        return to_pixels(mirror(pixels) if flip else pixels)

    def compute() -> dict[str, np.ndarray]:
        count = 2 * len(split)
        with Progress(count, "Encoding photos (VAE)", unit="photos") as progress:
            found = feature_pass(
                encode,
                sd.params["vae"],
                load,
                count,
                batch_size=ENCODE_BATCH,
                progress=lambda done, total: progress.update(done),
            )
        return {name: x.reshape(2, len(split), *x.shape[1:]) for name, x in found.items()}

    key = {
        "what": "vae posterior of photos and mirrors",
        "weights": sd.fingerprint,
        "data": split.fingerprint,
        "preprocessing": f"squash {size}",
        "dtype": str(jnp.dtype(vae.dtype)),
    }
    return cached(cache, key, compute)


def image_features(clip: CLIP, split: ImageSplit, cache: Path, flip: int) -> np.ndarray:
    """CLIP image features of the photos, or of their mirrors; not normalised, `[b p]`."""
    tower = clip.image_tower

    def encode(params: dict, pixels: jax.Array) -> dict[str, jax.Array]:
        return {"features": tower.apply({"params": params}, pixels).features.astype("float32")}

    def load(row: int) -> np.ndarray:
        photo = split.load(row)
        if flip:
            photo = photo.transpose(0)  # PIL's FLIP_LEFT_RIGHT
        return clip.preprocess(photo)

    def compute() -> dict[str, np.ndarray]:
        name = "Encoding mirrors (CLIP)" if flip else "Encoding photos (CLIP)"
        with Progress(len(split), name, unit="photos") as progress:
            return feature_pass(
                encode,
                clip.params["vision"],
                load,
                len(split),
                batch_size=ENCODE_BATCH,
                progress=lambda done, total: progress.update(done),
            )

    key = {
        "what": "clip image features of " + ("mirrors" if flip else "photos"),
        "weights": clip.fingerprint,
        "data": split.fingerprint,
        "preprocessing": repr(clip.preprocess),
        "dtype": str(jnp.dtype(tower.dtype)),
    }
    return cached(cache, key, compute)["features"]


def data_fingerprint(material: Material) -> str:
    """16 hex characters for the chosen training and test photos."""
    text = material.train.fingerprint + material.test.fingerprint
    return hashlib.sha256(text.encode()).hexdigest()[:16]
