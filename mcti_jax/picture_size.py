"""How large the pictures are that tokens are learned from and drawn at."""

import math
import re

from ml_collections import ConfigDict

from common.diffusion.parts import DiffusionModel
from common.errors import UserError

LONGEST = 4  # times the other side: beyond that little of a photo would be left


def parse_aspect(text: str) -> tuple[int, int]:
    """Return width and height of `"W:H"`, e.g. `"3:4"` of photos held upright.

    Raises:
      UserError: It is written otherwise, or one side is more than four times the other.
    """
    found = re.fullmatch(r"(\d{1,5}):(\d{1,5})", text, re.ASCII)
    width, height = map(int, found.groups()) if found else (0, 0)
    if not min(width, height) or max(width, height) > LONGEST * min(width, height):
        raise UserError(
            f"aspect={text!r} is not W:H with one side at most {LONGEST} times the other: give "
            "e.g. aspect=3:4 for photos held upright, or 1:1 for squares."
        )
    return width, height


def picture_size(config: ConfigDict, sd: DiffusionModel) -> tuple[int, int]:
    """Return width and height in pixels of a run's pictures, of about `resolution`^2 pixels.

    A square has the resolution itself. The sides of other shapes are the multiples next to it of
    what the U-Net halves to the end, 64 pixels for Stable Diffusion 1.

    Args:
      config: The run's; 0 as `resolution` is the model's own.
      sd: What is trained and draws.

    Raises:
      UserError: The VAE cannot reduce a picture of the resolution.
    """
    side = sd.require_size("resolution", config.resolution or sd.image_size)
    width, height = parse_aspect(config.aspect)
    if width == height:
        return side, side
    multiple = sd.downsampling * 2 ** (len(sd.unet.config.block_out_channels) - 1)
    exact = (side * math.sqrt(ratio) for ratio in (width / height, height / width))
    return tuple(multiple * max(1, round(length / multiple)) for length in exact)
