"""CLIP's image preprocessing, to the bit (openai/CLIP, `_transform`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from common.errors import UserError

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Preprocess:
    """Bicubic resize of the shorter side, centre crop, normalisation.

    Attributes:
      size: Side of the result in pixels.
      mean: Of red, green and blue, on the scale from 0 to 1.
      std: Likewise.
    """

    size: int
    mean: tuple[float, float, float] = MEAN
    std: tuple[float, float, float] = STD

    def __call__(self, image: Image.Image) -> np.ndarray:
        """Returns float32 [size, size, 3], normalised."""
        image = image.convert("RGB")
        short = min(image.size)
        width, height = (self.size * side // short for side in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
        left = round((width - self.size) / 2)
        top = round((height - self.size) / 2)
        image = image.crop((left, top, left + self.size, top + self.size))
        pixels = np.asarray(image, np.float32) / np.float32(255)
        return (pixels - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)

    @classmethod
    def from_hugging_face(cls, config: Mapping[str, Any], size: int) -> "Preprocess":
        """Reads `preprocessor_config.json`.

        Args:
          config: The file's content; an empty mapping gives CLIP's own values.
          size: The image size that the tower takes.

        Raises:
          UserError: It asks for another size or for another resampling.
        """
        crop = config.get("crop_size", size)
        crop = crop.get("height") if isinstance(crop, Mapping) else crop
        if crop != size:
            raise UserError(
                f"preprocessor_config.json crops to {crop} pixels; the tower takes {size}."
            )
        if config.get("resample", Image.Resampling.BICUBIC) != Image.Resampling.BICUBIC:
            raise UserError(
                "preprocessor_config.json asks for a resampling other than bicubic."
            )
        return cls(
            size, tuple(config.get("image_mean", MEAN)), tuple(config.get("image_std", STD))
        )

    def to_hugging_face(self) -> dict[str, Any]:
        """Inverse of `from_hugging_face`."""
        return {
            "image_processor_type": "CLIPImageProcessor",
            "do_resize": True,
            "size": {"shortest_edge": self.size},
            "resample": int(Image.Resampling.BICUBIC),
            "do_center_crop": True,
            "crop_size": {"height": self.size, "width": self.size},
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "do_convert_rgb": True,
            "image_mean": list(self.mean),
            "image_std": list(self.std),
        }
