"""The frozen modules of the objective, and which of them reads which of a token's vectors."""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from common.clip import CLIP
from common.clip.text import TextTower
from common.diffusion import StableDiffusion, UNet
from common.diffusion.schedule import NoiseSchedule
from common.diffusion.text_encoder import TextEncoder
from common.nesting import flatten
from common.trees import Leaf, Params
from mcti_jax.readers import widths_of
from mcti_jax.widths import Widths, encoder_of_width, split


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


def make_networks(
    config: ConfigDict, sd: StableDiffusion, clip: CLIP, attention: str = "plain"
) -> Networks:
    """Return the modules that the objective runs; `attention` is an implementation's name."""
    unet = sd.unet.clone(attention=attention, remat=config.remat)
    encoders = sd.modules.text_encoders
    number = encoder_of_width(widths_of(sd), clip.text_tower.config.width)
    shared = shares_text_tower(config, encoders[number], sd, clip)
    return Networks(
        unet=unet if config.alpha else None,
        schedule=sd.schedule,
        text=encoders,
        clip_text=None if shared else clip.text_tower,
        latent_scale=sd.vae.config.scaling_factor,
        class_encoder=number,
        downsampling=sd.downsampling,
    )


def shares_text_tower(
    config: ConfigDict, encoder: TextEncoder, sd: StableDiffusion, clip: CLIP
) -> bool:
    """Return whether the class feature comes from Stable Diffusion's text tower (1.x: CLIP's).

    Stable Diffusion 2.x drops CLIP's last block, and others were tuned with their text tower, so
    the class feature needs a pass of CLIP's own, which is what classifies later. With `class_tower`
    it is read from Stable Diffusion's all the same, as in the released code.
    """
    if config.class_tower == "sd":
        return True
    own = encoder.tower.config.layers == clip.text_tower.config.layers
    return own and same_weights(sd.params.get(encoder.part.params, {}), clip.params.get("text", {}))


def same_weights(ours: Params, theirs: Params) -> bool:
    """Return whether a text tower has another one's weights, up to rounding to bfloat16.

    Of shapes without weights it is taken for granted.
    """
    others = flatten(theirs)

    def alike(ours: Leaf, theirs: Leaf) -> bool:
        if isinstance(ours, jax.ShapeDtypeStruct) or np.shape(ours) != np.shape(theirs):
            return np.shape(ours) == np.shape(theirs)
        pair = (np.asarray(leaf, np.float32) for leaf in (ours, theirs))
        return np.allclose(*pair, rtol=2**-7, atol=1e-6)

    return all(alike(leaf, others[path]) for path, leaf in flatten(ours).items() if path in others)
