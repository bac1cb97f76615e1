"""What MC-TI computes once, on frozen networks, before any token is trained.

The reference encodes each photo with the VAE in every step, which is 40 % of its arithmetic.
Each photo has exactly two versions (itself and its mirror), so the posteriors of both are
cached, and drawing from them has the very distribution of encoding anew.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from common.data import ImageSplit
from common.data.cache import cached
from common.data.encoding import feature_pass
from common.data.images import mirror, squash, to_pixels
from common.diffusion import AutoencoderKL, StableDiffusion
from common.progress import Progress

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
