"""The configurations that make a Stable Diffusion, without its weights."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from common.clip.config import TextConfig
from common.clip.hugging_face import projected_text_from_json, text_from_json
from common.diffusion.config import UNetConfig, VAEConfig
from common.diffusion.schedule import NoiseSchedule
from common.diffusion.text_encoder import FIRST, SECOND, TextPart
from common.errors import UserError
from common.files import read_record
from common.records import Record
from common.sizes import REMEDY
from common.text import shown

INDEX = "model_index.json"
_XL = "StableDiffusionXL"
# Beginnings of pipelines' names in an index, and what those models are.
_OTHERS = {
    "StableDiffusion3": "a Stable Diffusion 3",
    "Flux": "a FLUX",
}
_SUPPORTED = "give a Stable Diffusion 1.x, 2.x or XL"


@dataclass(frozen=True)
class Architecture:
    """The configurations of one Stable Diffusion."""

    unet: UNetConfig
    vae: VAEConfig
    text: TextConfig
    schedule: NoiseSchedule

    @classmethod
    def from_directory(cls, directory: Path) -> "Architecture":
        """Read the JSON files of a directory in diffusers' layout.

        Raises:
          UserError: A file is missing or describes another kind of model.
        """
        return cls(
            UNetConfig.from_dict(read_record(directory / "unet/config.json", REMEDY)),
            VAEConfig.from_dict(read_record(directory / "vae/config.json", REMEDY)),
            text_from_json(read_record(directory / "text_encoder/config.json", REMEDY)),
            NoiseSchedule.from_file(directory / "scheduler/scheduler_config.json"),
        )

    @property
    def texts(self) -> Mapping[TextPart, TextConfig]:
        """The text encoders."""
        return {FIRST: self.text}

    def require_fit(self) -> None:
        """Refuse parts that belong to different models.

        Raises:
          UserError: It says what does not fit.
        """
        made = sum(text.width for text in self.texts.values())
        if self.unet.cross_attention_dim != made:
            encoders = "the text encoder makes" if len(self.texts) == 1 else "both encoders make"
            raise UserError(
                f"the UNet attends to text states of width {self.unet.cross_attention_dim}, "
                f"{encoders} {made}; they belong to different models."
            )
        channels = {self.unet.in_channels, self.unet.out_channels}
        if channels != {self.vae.latent_channels}:
            raise UserError(
                f"the UNet maps {self.unet.in_channels} channels to {self.unet.out_channels}, the "
                f"autoencoder's latents have {self.vae.latent_channels}; inpainting and upscaling "
                "models are not supported."
            )
        *_, last = self.texts.values()
        if self.unet.pooled_width != last.projection:
            raise UserError(
                f"the UNet takes a pooled text of width {self.unet.pooled_width}, and the text "
                f"encoder makes one of {last.projection}; they belong to different models."
            )


@dataclass(frozen=True)
class XLArchitecture(Architecture):
    """The configurations of one Stable Diffusion XL.

    Attributes:
      text_2: The second text encoder, with a projection.
      zeroes_negative: See `StableDiffusionXL`.
    """

    text_2: TextConfig
    zeroes_negative: bool = True

    @classmethod
    def from_directory(cls, directory: Path) -> "XLArchitecture":
        """Read the JSON files of a directory in diffusers' layout.

        Raises:
          UserError: A file is missing or describes another kind of model.
        """
        index = read_record(directory / INDEX, REMEDY)
        aesthetic = index.boolean("requires_aesthetics_score", default=False)
        if aesthetic or index.content.get(FIRST.folder) in (None, [None, None]):
            raise UserError(
                f"{shown(directory)} is a refiner of Stable Diffusion XL, which goes on with "
                f"another model's pictures and is not supported: {_SUPPORTED}."
            )
        first = Architecture.from_directory(directory)
        upcast = read_record(directory / "vae/config.json", REMEDY)
        second = read_record(directory / SECOND.folder / "config.json", REMEDY)
        return cls(
            first.unet,
            replace(first.vae, force_upcast=upcast.boolean("force_upcast", default=True)),
            first.text,
            first.schedule,
            projected_text_from_json(second),
            index.boolean("force_zeros_for_empty_prompt", default=True),
        )

    @property
    def texts(self) -> Mapping[TextPart, TextConfig]:
        """Both text encoders."""
        return {FIRST: self.text, SECOND: self.text_2}

    def require_fit(self) -> None:
        """Refuse parts that belong to different models.

        Raises:
          UserError: It says what does not fit.
        """
        super().require_fit()
        lengths = [text.positions for text in self.texts.values()]
        if len(set(lengths)) > 1:
            raise UserError(
                f"the text encoders have {lengths[0]} and {lengths[1]} positions; they belong to "
                "different models."
            )


def architecture_class(directory: Path) -> type[Architecture]:
    """Return the class that reads a directory in diffusers' layout, as its index says.

    Raises:
      UserError: The index names a pipeline of another kind of model.
    """
    file = directory / INDEX
    index = read_record(file, REMEDY) if file.is_file() else Record({}, shown(file), REMEDY)
    name = index.text("_class_name", longest=1000, default="")
    for beginning, model in _OTHERS.items():
        if name.startswith(beginning):
            raise UserError(f"{shown(directory)} is {model}, which is not supported: {_SUPPORTED}.")
    return XLArchitecture if name.startswith(_XL) else Architecture


def read_architecture(directory: Path) -> Architecture:
    """Read the JSON files of a Stable Diffusion of either kind; see `Architecture`."""
    return architecture_class(directory).from_directory(directory)
