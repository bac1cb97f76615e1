"""The configurations that make a Stable Diffusion, without its weights."""

from dataclasses import dataclass
from pathlib import Path

from common.clip.config import TextConfig
from common.clip.hugging_face import text_from_json
from common.diffusion.config import UNetConfig, VAEConfig
from common.diffusion.schedule import NoiseSchedule
from common.files import read_record
from common.sizes import REMEDY


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
