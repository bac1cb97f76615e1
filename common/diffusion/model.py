"""A loaded Stable Diffusion: networks, weights, noise schedule, tokenizer."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from PIL import Image

from common.clip.text import TextTower
from common.clip.tokenizer import Tokenizer
from common.diffusion.schedule import NoiseSchedule
from common.diffusion.unet import UNet
from common.diffusion.vae import AutoencoderKL
from common.errors import UserError
from common.spread import on_all_devices
from common.trees import Params


@dataclass(frozen=True)
class Modules:
    """The networks without their weights, and the noise schedule: static under `jax.jit`.

    Attributes:
      unet: The denoising network; `unet.clone(remat=...)` changes how it runs.
      vae: The autoencoder.
      text_tower: The text encoder.
      schedule: How noise was mixed in when the UNet was trained.
    """

    unet: UNet
    vae: AutoencoderKL
    text_tower: TextTower
    schedule: NoiseSchedule


@dataclass(frozen=True)
class StableDiffusion:
    """A Stable Diffusion as `load_stable_diffusion` returns it.

    `draw` takes prompts and gives pictures; beneath it are `common.diffusion.prompt_states` and
    `text_to_image`, for what is sharded or differentiated.

    Attributes:
      modules: The networks without their weights.
      tokenizer: Text to ids.
      params: `{"unet": ..., "vae": ..., "text": ...}`, arrays on the host. Put them on devices
        once (`jax.device_put`) and pass them as arguments.
      fingerprint: Names these weights in caches and results.
    """

    modules: Modules
    tokenizer: Tokenizer
    params: Params
    fingerprint: str

    @property
    def unet(self) -> UNet:
        """The denoising network; its weights are `params["unet"]`."""
        return self.modules.unet

    @property
    def vae(self) -> AutoencoderKL:
        """The autoencoder; its weights are `params["vae"]`."""
        return self.modules.vae

    @property
    def text_tower(self) -> TextTower:
        """The text encoder; its weights are `params["text"]`."""
        return self.modules.text_tower

    @property
    def schedule(self) -> NoiseSchedule:
        """How noise was mixed in when the UNet was trained."""
        return self.modules.schedule

    @property
    def downsampling(self) -> int:
        """Pixels along a side for each latent along it."""
        return self.vae.config.downsampling

    @property
    def image_size(self) -> int:
        """Side in pixels of the images that the model was trained on."""
        return self.unet.config.sample_size * self.downsampling

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the latents of one such image."""
        size = self.unet.config.sample_size
        return size, size, self.unet.config.in_channels

    @cached_property
    def on_devices(self) -> "StableDiffusion":
        """The same model with its weights on all devices, copied there once."""
        return replace(self, params=on_all_devices(self.params))

    def require_size(self, name: str, size: int) -> int:
        """Return `size`, the side of a picture in pixels; `name` is for the message.

        Raises:
          UserError: The networks cannot make a picture of this size.
        """
        # The VAE makes pictures smaller, and the U-Net once more at each level but the first.
        factor = self.downsampling * 2 ** (len(self.unet.config.block_out_channels) - 1)
        if size % factor:
            raise UserError(
                f"{name}={size} is not a multiple of {factor}, by which the VAE and the U-Net "
                f"reduce a picture: take {size - size % factor or factor}."
            )
        return size

    def draw(
        self,
        prompt: str | Iterable[Any],
        n: int = 1,
        *,
        negative: str = "",
        tokens: Mapping[str, Any] | None = None,
        seed: int = 0,
        steps: int = 25,
        guidance: float = 7.5,
        sampler: str = "dpmpp_2m",
        size: int | None = None,
        batch: int = 32,
    ) -> list[Image.Image]:
        """Draw `n` pictures of a prompt, or of each of several, one prompt after another.

        The i-th picture depends on the seed and i alone. The first call places the weights on
        the devices and compiles; further calls with the same numbers of pictures and
        steps, sampler and size use the same program.

        Args:
          prompt: A text or a list of texts, which may hold the words of `tokens`.
          n: Pictures of each prompt.
          negative: What to steer away from.
          tokens: Learned vectors `[n, d]` by word, such as `mcti_jax.load_tokens` gives.
          seed: Of the initial noise, up to 2**64 - 1.
          steps: Denoising steps.
          guidance: Weight of classifier-free guidance; 1 is none.
          sampler: A key of `common.diffusion.SAMPLERS`.
          size: Side in pixels; by default that of the pictures that the model was trained on.
          batch: Pictures at once over all devices.

        Raises:
          UserError: A prompt holds an unknown word in brackets or is too long, or an option is
            out of range.
        """
        from common.diffusion.draw import draw  # Which draws with a StableDiffusion.

        return draw(
            self,
            prompt,
            n,
            negative=negative,
            tokens=tokens,
            seed=seed,
            steps=steps,
            guidance=guidance,
            sampler=sampler,
            size=size,
            batch=batch,
        )
