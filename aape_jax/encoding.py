"""What the frozen CLIP makes of photos and sentences, computed once and cached."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from PIL import Image

from common.clip import CLIP, encode_image, encode_text
from common.data import ImageSplit
from common.data.cache import cached
from common.data.encoding import feature_pass
from common.errors import UserError
from common.training.progress import Progress

IMAGES_AT_ONCE = 64
TEXTS_AT_ONCE = 256
# CoOp's augmentation, which is torchvision's RandomResizedCrop with its defaults and a flip.
CROP_AREA = (0.08, 1.0)
CROP_RATIO = (3 / 4, 4 / 3)
CROP_TRIES = 10


def frozen_dtype(name: str, platform: str | None = None) -> jnp.dtype:
    """The dtype of frozen networks that `config.dtype` means on a platform, or on this one."""
    if name == "auto":
        name = "float32" if (platform or jax.default_backend()) == "cpu" else "bfloat16"
    if name not in ("float32", "bfloat16"):
        raise UserError(f"dtype={name!r} is unknown; choose auto, float32 or bfloat16.")
    return jnp.dtype(name)


def text_features(clip: CLIP, texts: Sequence[str], cache: Path) -> Float[np.ndarray, "b p"]:
    """Text features, not normalised; what is too long for the tower is cut."""
    tower = clip.text_tower
    ids = clip.tokenizer.encode_all(texts)
    longest = max(map(len, ids), default=0) + 2
    packed = clip.tokenizer.pack(ids, min(longest, clip.tokenizer.length), truncate=True)

    def encode(params: dict, ids: jax.Array) -> dict[str, jax.Array]:
        return {"features": encode_text(tower, params, ids).astype(jnp.float32)}

    def compute() -> dict[str, np.ndarray]:
        with Progress(len(packed), "Encoding sentences (CLIP)", unit="sentences") as progress:
            return feature_pass(
                encode,
                clip.params["text"],
                packed.__getitem__,
                len(packed),
                batch_size=TEXTS_AT_ONCE,
                progress=lambda done, total: progress.update(done),
            )

    key = {
        "what": "clip text features",
        "weights": clip.fingerprint,
        "texts": hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest(),
        "dtype": str(jnp.dtype(tower.dtype)),
    }
    return cached(cache, key, compute)["features"]


def image_features(
    clip: CLIP, split: ImageSplit, cache: Path, view: int = 0, seed: int = 0
) -> Float[np.ndarray, "b p"]:
    """Image features of one view of each photo, not normalised.

    View 0 is CLIP's own preprocessing; the others are random crops and flips that depend on the
    seed, the row and the view alone.
    """
    tower = clip.image_tower

    def encode(params: dict, pixels: jax.Array) -> dict[str, jax.Array]:
        return {"features": encode_image(tower, params, pixels).astype(jnp.float32)}

    def load(row: int) -> np.ndarray:
        photo = split.load(row)
        if view:
            generator = np.random.default_rng((seed, row, view))
            photo = random_crop(photo, clip.preprocess.size, generator)
        return clip.preprocess(photo)

    def compute() -> dict[str, np.ndarray]:
        name = f"Encoding photos (CLIP), view {view}" if view else "Encoding photos (CLIP)"
        with Progress(len(split), name, unit="photos") as progress:
            return feature_pass(
                encode,
                clip.params["vision"],
                load,
                len(split),
                batch_size=IMAGES_AT_ONCE,
                progress=lambda done, total: progress.update(done),
            )

    key = {
        "what": f"clip image features of view {view}" + (f" of seed {seed}" if view else ""),
        "weights": clip.fingerprint,
        "data": split.fingerprint,
        "preprocessing": repr(clip.preprocess),
        "dtype": str(jnp.dtype(tower.dtype)),
    }
    return cached(cache, key, compute)["features"]


def random_crop(image: Image.Image, size: int, generator: np.random.Generator) -> Image.Image:
    """A random part of the photo, resized to a square and mirrored every other time."""
    width, height = image.size
    box = (0, 0, width, height)
    for _ in range(CROP_TRIES):
        area = width * height * generator.uniform(*CROP_AREA)
        ratio = np.exp(generator.uniform(*np.log(CROP_RATIO)))
        wide, high = round(np.sqrt(area * ratio)), round(np.sqrt(area / ratio))
        if 0 < wide <= width and 0 < high <= height:
            left = int(generator.integers(width - wide + 1))
            top = int(generator.integers(height - high + 1))
            box = (left, top, left + wide, top + high)
            break
    image = image.resize((size, size), Image.Resampling.BICUBIC, box=box)
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if generator.random() < 0.5 else image
