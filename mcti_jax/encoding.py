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
from common.photos.images import SQUARES, mirror, to_pixels

# Pictures at once in each process; the VAE's activations are what limits it.
ENCODE_BATCH = 32
PART = 64  # pictures in a file: 4 MiB at 512 pixels


def vae_posteriors(
    sd: StableDiffusion, split: ImageSplit, size: int, cache: Path, square: str = "squash"
) -> dict[str, np.ndarray]:
    """Return posterior mean and log variance of each photo and its mirror, `[2 b h w c]` each.

    The photo is made a square and flipped after that, as the reference does, which squashes it.
    The flip of a latent is not the latent of the flip, so mirrors are encoded too.

    Args:
      sd: Whose VAE encodes.
      split: The photos.
      size: Side of the squares in pixels.
      cache: Folder of what was encoded before.
      square: How photos become squares, a key of `SQUARES`.
    """
    vae = sd.vae
    side = size // vae.config.downsampling

    def encode(params: dict, pixels: jax.Array) -> dict[str, jax.Array]:
        moments = vae.apply({"params": params}, pixels, method=AutoencoderKL.encode)
        return {"mean": moments.mean, "logvar": moments.logvar}

    def load(row: int) -> np.ndarray:
        flip, photo = divmod(row, len(split))
        pixels = SQUARES[square](split.load(photo), size)
        return to_pixels(mirror(pixels) if flip else pixels)

    def key(rows: range) -> Key:
        return {
            "what": "vae posterior of photos and mirrors",
            "weights": sd.fingerprint,
            "data": split.fingerprint,
            "rows": f"{rows.start} to {rows.stop} of the photos, then of their mirrors",
            "preprocessing": f"{square} {size}",
            "dtype": str(jnp.dtype(vae.dtype)),
        }

    arrays = cached_pass(
        encode,
        sd.params["vae"],
        load,
        2 * len(split),
        names=("mean", "logvar"),
        shapes=dict.fromkeys(("mean", "logvar"), (side, side, vae.config.latent_channels)),
        batch_size=ENCODE_BATCH,
        part=PART,
        directory=cache,
        key=key,
        title="Encoding photos (VAE)",
        unit="photos",
    )
    return {name: x.reshape(2, len(split), *x.shape[1:]) for name, x in arrays.items()}
