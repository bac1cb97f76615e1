"""Single pictures: where their bytes lie, and how they become RGB."""

import functools
import hashlib
import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from common.errors import UserError

# What Pillow's readers of the various formats raise on damaged files.
DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
)


@runtime_checkable
class Picture(Protocol):
    """One picture that is opened when it is needed."""

    def open(self) -> Image.Image:
        """The upright RGB picture."""

    def digest(self) -> bytes:
        """SHA-256 of what is stored: equal digests mean equal pictures."""


@dataclass(frozen=True)
class EncodedPhoto:
    """A JPEG, PNG, ... whose bytes are fetched on demand.

    Attributes:
      name: What error messages call it (a path, or a data set and a row).
      read: Returns the encoded bytes.
    """

    name: str
    read: Callable[[], bytes]

    def open(self) -> Image.Image:
        """Decodes the photo; see `upright_rgb`.

        Raises:
          UserError: The file is missing, truncated or no picture at all.
        """
        try:
            with Image.open(io.BytesIO(self.read())) as image:
                return upright_rgb(image)
        except DAMAGED as error:
            unknown = isinstance(error, UnidentifiedImageError)
            reason = "no known kind of picture" if unknown else error
            raise UserError(
                f"the picture {self.name} cannot be read ({reason}): mend or remove it."
            ) from error

    def digest(self) -> bytes:
        """SHA-256 of the encoded bytes, which are read for it once."""
        return self._digest

    @functools.cached_property
    def _digest(self) -> bytes:
        return hashlib.sha256(self.read()).digest()


@dataclass(frozen=True, eq=False)
class ArrayPhoto:
    """A picture that is already in memory."""

    pixels: UInt8[np.ndarray, "h w 3"]

    def open(self) -> Image.Image:
        """The pixels as a picture."""
        return Image.fromarray(self.pixels)

    def digest(self) -> bytes:
        """SHA-256 of the size and the pixels."""
        return hashlib.sha256(str(self.pixels.shape).encode() + self.pixels.tobytes()).digest()


def photo_file(path: Path) -> EncodedPhoto:
    """The photo in the file `path`."""
    return EncodedPhoto(str(path), path.read_bytes)


def upright_rgb(image: Image.Image) -> Image.Image:
    """Turns a picture as its EXIF orientation says and converts it to RGB.

    Conversion is Pillow's `convert("RGB")`, which is what CLIP's own preprocessing applies:
    grey is repeated, palettes are looked up and transparency is dropped, not composited. 16-bit
    grey is scaled to 8 bits first, because Pillow would clip nearly all of it to white.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode == "P" and "transparency" in image.info:
        # Same colours as a direct conversion, which would warn about a palette with alpha.
        image = image.convert("RGBA")
    return image.convert("RGB")
