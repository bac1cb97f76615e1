"""The parts of a Stable Diffusion: networks, weights, noise schedule, tokenizer."""

from dataclasses import dataclass, replace
from functools import cached_property

from common.clip.text import TextTower
from common.clip.tokenizer import Tokenizer
from common.diffusion.samplers import DEFAULT
from common.diffusion.schedule import NoiseSchedule
from common.diffusion.text_encoder import FIRST, SECOND, TextEncoder
from common.diffusion.unet import UNet
from common.diffusion.vae import AutoencoderKL
from common.errors import UserError
from common.spread import on_all_devices
from common.trees import Params
from common.weights.fingerprint import fingerprint


@dataclass(frozen=True)
class Modules:
    """The networks without their weights, and the noise schedule: static under `jax.jit`.

    Attributes:
      unet: The denoising network; `unet.clone(remat=...)` changes how it runs.
      vae: The autoencoder.
      text_tower: The text encoder.
      schedule: How noise was mixed in when the UNet was trained.
      text_tower_2: The second text encoder of XL.
    """

    unet: UNet
    vae: AutoencoderKL
    text_tower: TextTower
    schedule: NoiseSchedule
    text_tower_2: TextTower | None = None

    @property
    def text_encoders(self) -> tuple[TextEncoder, ...]:
        """The text encoders, in the order in which the UNet takes their states."""
        if self.text_tower_2 is None:
            return (TextEncoder(FIRST, self.text_tower),)
        return (
            TextEncoder(FIRST, self.text_tower, penultimate=True),
            TextEncoder(SECOND, self.text_tower_2, penultimate=True),
        )


@dataclass(frozen=True)
class DiffusionModel:
    """What pictures are drawn with; see `StableDiffusion`.

    Attributes:
      modules: The networks without their weights.
      tokenizer: Text to ids.
      params: `{"unet": ..., "vae": ..., "text": ...}`, arrays on the host; the first two only if
        they were loaded, and of XL "text_2" as well. Put them on devices once
        (`jax.device_put`), pass them as arguments.
      fingerprint: Names these weights in caches and results.
    """

    modules: Modules
    tokenizer: Tokenizer
    params: Params
    fingerprint: str

    zeroes_negative = False
    """Whether an empty negative prompt stands for zeros in place of its text states."""

    @property
    def tokenizers(self) -> tuple[Tokenizer, ...]:
        """The tokenizer of each text encoder."""
        return (self.tokenizer,)

    @property
    def default_sampler(self) -> str:
        """The key of `common.diffusion.SAMPLERS` that pictures are drawn with unless asked."""
        return DEFAULT

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
        """The text encoder, of XL the first; its weights are `params["text"]`."""
        return self.modules.text_tower

    @property
    def schedule(self) -> NoiseSchedule:
        """How noise was mixed in when the UNet was trained."""
        return self.modules.schedule

    @cached_property
    def text_fingerprint(self) -> str:
        """Names the weights of the text encoders alone, as `fingerprint` does all of them."""
        encoders = self.modules.text_encoders
        params = {encoder.part.params: self.params[encoder.part.params] for encoder in encoders}
        return fingerprint(params, *(repr(encoder.tower.config) for encoder in encoders))

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
    def on_devices(self) -> "DiffusionModel":
        """The same model with its weights on all devices, copied there once."""
        return replace(self, params=on_all_devices(self.params))

    def require_size(self, name: str, size: int) -> int:
        """Return `size`, the side of a picture in pixels; `name` is for the message.

        Raises:
          UserError: The networks cannot make a picture of this size.
        """
        factor = self.downsampling
        if size % factor:
            raise UserError(
                f"{name}={size} is not a multiple of {factor}, by which the VAE reduces a picture: "
                f"take {size - size % factor or factor}."
            )
        return size
