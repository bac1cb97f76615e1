"""What MC-TI computes once, on frozen networks, before any token is trained.

The reference encodes each photo with the VAE in every step, which is 40 % of its arithmetic.
Each photo has exactly two versions (itself and its mirror), so the posteriors of both are
cached, and drawing from them has the distribution of encoding anew.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from common.data import ImageSplit
from common.data.cache import Key
from common.data.passes import cached_pass
from common.diffusion import AutoencoderKL, StableDiffusion
from common.photos.images import FITS, mirror, to_pixels

# Pictures at once in each process; the VAE's activations are what limits it.
ENCODE_BATCH = 32
PART = 64  # pictures in a file: 4 MiB at 512 pixels


def vae_posteriors(
    sd: StableDiffusion,
    split: ImageSplit,
    size: tuple[int, int],
    cache: Path,
    fit: str = "squash",
) -> dict[str, np.ndarray]:
    """Return posterior mean and log variance of each photo and its mirror, `[2 b h w c]` each.

    The photo gets its size and is flipped after that, as the reference does, which squashes it.
    The flip of a latent is not the latent of the flip, so mirrors are encoded too.

    Args:
      sd: Whose VAE encodes.
      split: The photos.
      size: Width and height in pixels that photos are given.
      cache: Folder of what was encoded before.
      fit: How they are given it, a key of `FITS`.
    """
    vae = sd.vae
    width, height = size
    latent = height // sd.downsampling, width // sd.downsampling, vae.config.latent_channels
    # Squares are named by one number, as what was encoded before is.
    named = width if width == height else f"{width}x{height}"

    def encode(params: dict, pixels: jax.Array) -> dict[str, jax.Array]:
        moments = vae.apply({"params": params}, pixels, method=AutoencoderKL.encode)
        return {"mean": moments.mean, "logvar": moments.logvar}

    def load(row: int) -> np.ndarray:
        flip, photo = divmod(row, len(split))
        pixels = FITS[fit](split.load(photo), width, height)
        return to_pixels(mirror(pixels) if flip else pixels)

    def key(rows: range) -> Key:
        return {
            "what": "vae posterior of photos and mirrors",
            "weights": sd.fingerprint,
            "data": split.fingerprint,
            "rows": f"{rows.start} to {rows.stop} of the photos, then of their mirrors",
            "preprocessing": f"{fit} {named}",
            "dtype": str(jnp.dtype(vae.dtype)),
        }

    arrays = cached_pass(
        encode,
        sd.params["vae"],
        load,
        2 * len(split),
        names=("mean", "logvar"),
        shapes=dict.fromkeys(("mean", "logvar"), latent),
        batch_size=ENCODE_BATCH,
        part=PART,
        directory=cache,
        key=key,
        title="Encoding photos (VAE)",
        unit="photos",
    )
    return {name: x.reshape(2, len(split), *x.shape[1:]) for name, x in arrays.items()}
