"""What MC-TI computes once, on frozen networks, before any token is trained.

The reference encodes each photo with the VAE in every step, which is 40 % of its arithmetic.
Each photo has exactly two versions (itself and its mirror), so the posteriors of both are
cached, and drawing from them has the very distribution of encoding anew.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from common.clip import CLIP
from common.data import ImageSplit
from common.data.cache import cached
from common.data.encoding import feature_pass
from common.data.images import mirror, squash, to_pixels
from common.diffusion import AutoencoderKL, StableDiffusion
from common.training.progress import Progress

# Pictures at once on each host; the VAE's activations are what limits it.
ENCODE_BATCH = 32


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
