"""CLIP's image preprocessing, to the bit (openai/CLIP, `_transform`), and SigLIP's."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from common.photos.collection import HeldPhoto, picture_of

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
RESAMPLING = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


@dataclass(frozen=True)
class Preprocess:
    """Resize of the shorter side, centre crop, normalisation.

    Attributes:
      size: Side of the result in pixels.
      mean: Of red, green and blue, on the scale from 0 to 1.
      std: Likewise.
      resize: Length of the shorter side before the crop, or height and width whatever the image's
        are; None for `size`.
      resample: A key of `RESAMPLING`; CLIP's own is bicubic, SigLIP 2's bilinear.
    """

    size: int
    mean: tuple[float, float, float] = MEAN
    std: tuple[float, float, float] = STD
    resize: int | tuple[int, int] | None = None
    resample: str = "bicubic"

    def __repr__(self) -> str:
        # A part of names in caches, so the default must not change it.
        resize = "" if self.resize is None else f", resize={self.resize}"
        resample = "" if self.resample == "bicubic" else f", resample={self.resample!r}"
        return f"Preprocess(size={self.size}, mean={self.mean}, std={self.std}{resize}{resample})"

    def __call__(self, photo: Any) -> np.ndarray:
        """Return normalised pixels, float32 [size, size, 3].

        Args:
          photo: A PIL image, which is taken as it lies; or a uint8 array `[h, w, 3]` or a path.

        Raises:
          UserError: It is something else, or cannot be read.
        """
        held = isinstance(photo, Image.Image)
        image = (HeldPhoto("photo", photo, upright=False) if held else picture_of(photo)).open()
        width, height = self._resized(image.size)
        image = image.resize((width, height), RESAMPLING[self.resample])
        left = round((width - self.size) / 2)
        top = round((height - self.size) / 2)
        image = image.crop((left, top, left + self.size, top + self.size))
        pixels = np.asarray(image, np.float32) / np.float32(255)
        return (pixels - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)

    def at(self, size: int) -> "Preprocess":
        """Return the preprocessing for another size; what is cut off stays in proportion."""
        square = isinstance(self.resize, tuple)
        sides = self.resize if square else (self.resize or self.size,)
        scaled = tuple(round(side * size / self.size) for side in sides)
        resize = scaled if square else scaled[0]
        return replace(self, size=size, resize=None if self.resize is None else resize)

    def _resized(self, sides: tuple[int, int]) -> tuple[int, int]:
        """Return width and height before the crop of an image of `sides`."""
        if isinstance(self.resize, tuple):
            return self.resize[1], self.resize[0]
        shorter, short = self.resize or self.size, min(sides)
        width, height = (shorter * side // short for side in sides)
        return width, height
