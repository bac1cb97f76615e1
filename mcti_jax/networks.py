"""The frozen modules of the objective, and which of them reads which of a token's vectors."""

from dataclasses import dataclass
from typing import Any

from common.clip.text import TextTower
from common.diffusion import UNet
from common.diffusion.schedule import NoiseSchedule
from common.diffusion.text_encoder import TextEncoder
from mcti_jax.widths import Widths, split


@dataclass(frozen=True)
class Networks:
    """The frozen modules, without their parameters.

    Attributes:
      unet: The denoiser; None where no row has a diffusion term.
      schedule: Its noise schedule.
      text: The text encoders whose states condition the U-Net, two in XL.
      clip_text: Text tower of the class feature; None where it is one of `text` itself.
      latent_scale: Factor between VAE latents and the U-Net's (0.18215 for SD 1.x).
      class_encoder: The number of the text encoder whose vectors the class feature is made of.
      downsampling: Pixels along a side for each latent along it.
    """

    unet: UNet | None
    schedule: NoiseSchedule
    text: tuple[TextEncoder, ...]
    clip_text: TextTower | None
    latent_scale: float
    class_encoder: int = 0
    downsampling: int = 8

    @property
    def widths(self) -> Widths:
        """Widths of the text encoders' inputs."""
        return tuple(encoder.tower.config.width for encoder in self.text)

    @property
    def class_tower(self) -> tuple[TextTower, str]:
        """The text tower of the class feature, and the name of its parameters."""
        if self.clip_text is not None:
            return self.clip_text, "clip_text"
        encoder = self.text[self.class_encoder]
        return encoder.tower, encoder.part.params

    def class_vectors(self, vectors: Any) -> Any:
        """Return what the class feature's tower reads of vectors `[... D]`."""
        return split(vectors, self.widths)[self.class_encoder]
