"""Single pictures: where their bytes lie, and how they become RGB."""

import functools
import hashlib
import io
import re
import stat
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from common.damage import DAMAGED, cause
from common.photos.broken import BrokenPicture
from common.photos.formats import formats, recognise
from common.photos.orientation import Metadata, metadata_of, parted, turned

LARGEST = 2**30
"""Bytes that the file of a photo may have."""

# Photos of 108 million pixels are nothing to be warned of; those that are too large are refused.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

_LONGEST = 1000  # Times that one side may be longer than the other.
_JPEG = b"\xff\xd8\xff"
_ORIENTATION, _BITS, _PHOTOMETRIC = 274, 258, 262  # TIFF's tags
_WHITE_IS_ZERO = 0
_SIXTEEN_BITS = ("PNG", "PPM")  # Formats whose mode I runs from 0 to 65535.
_NO_WHITE = {"I": "32-bit integers", "F": "floating-point numbers"}
_FIRST = {"La": "LA", "RGBa": "RGBA"}  # Modes that become RGB by way of another.


@runtime_checkable
class Picture(Protocol):
    """One picture that is opened when it is needed."""

    def open(self) -> Image.Image:
        """Return the upright RGB picture."""

    def digest(self) -> bytes:
        """Return the SHA-256 of what is stored: equal digests mean equal pictures."""


@dataclass(frozen=True)
class EncodedPhoto:
    """A JPEG, PNG, ... whose bytes are fetched on demand.

    Attributes:
      name: What error messages call it (a path, or a data set and a row).
      read: Returns the encoded bytes.
      path: Its file, if it has one of its own.
    """

    name: str
    read: Callable[[], bytes]
    path: Path | None = None

    def open(self) -> Image.Image:
        """Decode the photo; see `upright_rgb`.

        Raises:
          BrokenPicture: The file is missing, truncated or not a picture, has changed since it
            was read first, or holds pixels whose white nobody knows.
        """
        content = self._content()
        try:
            return decoded(content)
        except (*DAMAGED, Image.DecompressionBombError) as error:
            raise BrokenPicture(self.name, recognise(content) or _reason(error)) from error

    def digest(self) -> bytes:
        """Return the SHA-256 of the encoded bytes, which are read for it at most once.

        Raises:
          BrokenPicture: The file cannot be read.
        """
        if "_digest" not in self.__dict__:
            self._content()
        return self.__dict__["_digest"]

    def _content(self) -> bytes:
        """Return the bytes, which must be the same whenever they are read."""
        try:
            content = self.read()
            digest = hashlib.sha256(content).digest()
        except DAMAGED as error:
            raise BrokenPicture(self.name, cause(error)) from error
        # A frozen dataclass may remember what follows from its fields.
        if self.__dict__.setdefault("_digest", digest) != digest:
            raise BrokenPicture(self.name, "it changed while it was in use; start again")
        return content


@dataclass(frozen=True, eq=False)
class ArrayPhoto:
    """A picture that is already in memory."""

    pixels: UInt8[np.ndarray, "h w 3"]

    def open(self) -> Image.Image:
        """Return the pixels as a picture."""
        return Image.fromarray(self.pixels)

    def digest(self) -> bytes:
        """Return the SHA-256 of the size and the pixels."""
        digest = hashlib.sha256(str(self.pixels.shape).encode())
        digest.update(np.ascontiguousarray(self.pixels))
        return digest.digest()


def photo_file(path: Path) -> EncodedPhoto:
    """Return the photo in the file `path`."""
    return EncodedPhoto(str(path), functools.partial(read_photo, path), path)


def read_photo(path: Path) -> bytes:
    """Return the bytes of a photo's file.

    Raises:
      OSError: It cannot be read, is not a file, or is far too large for a photo.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError("it is a folder, a pipe or a device")
    if status.st_size > LARGEST:
        raise OSError(f"it has {status.st_size} bytes, more than {LARGEST}")
    return path.read_bytes()


def decoded(content: bytes) -> Image.Image:
    """Decode bytes as an upright RGB picture.

    A JPEG is decoded without its metadata, for the readers of these fail where the picture is
    sound.

    Raises:
      ValueError: Nobody knows which value of its pixels is white; or what Pillow raises.
    """
    metadata = None
    if content.startswith(_JPEG):
        content, metadata = parted(content)
    with Image.open(io.BytesIO(content), formats=formats()) as image:
        check_sides(image.size)
        return upright_rgb(image, metadata)


def check_sides(sides: tuple[int, int]) -> None:
    """Refuse a picture that has no pixels, or is so thin that it would fill the memory.

    Resized to a shorter side of hundreds of pixels, that is.

    Raises:
      ValueError: It says the width and the height.
    """
    if not min(sides) or max(sides) > _LONGEST * min(sides):
        raise ValueError(f"it has {sides[0]} x {sides[1]} pixels; cut it to a picture")


def upright_rgb(image: Image.Image, metadata: Metadata | None = None) -> Image.Image:
    """Turn a picture as its EXIF orientation says and convert it to RGB.

    Conversion is Pillow's `convert("RGB")`, which is what CLIP's own preprocessing applies:
    grey is repeated, palettes are looked up and transparency is dropped, not composited. Grey
    of 9 to 16 bits is scaled to 8 bits first, because Pillow would clip nearly all of it to
    white. Floating-point numbers and 32-bit integers are refused: Pillow would clip them, too.
    A picture that is upright and RGB already is returned itself.

    Args:
      image: As it was opened.
      metadata: Where the picture's own does not say how it lies.
    """
    orientation = _load(image, metadata)
    return turned(rgb(image), orientation)


def _reason(error: Exception) -> str:
    """Return what is wrong with a picture that Pillow refused."""
    if isinstance(error, UnidentifiedImageError):
        return "no known kind of picture"
    if isinstance(error, Image.DecompressionBombError):
        pixels = next(iter(re.findall(r"\d+", str(error))), "too many")
        return f"it has {pixels} pixels, more than {2 * Image.MAX_IMAGE_PIXELS}; make it smaller"
    return cause(error)


def _load(image: Image.Image, metadata: Metadata | None) -> int:
    """Decode the pixels and return how they lie then."""
    if not isinstance(image, TiffImageFile):
        image.load()
        return (metadata or metadata_of(image)).orientation
    # TIFF's reader reads all metadata and turns the picture; it shall see the orientation alone.
    known = Image.Exif()
    known[_ORIENTATION] = before = _tag(image, _ORIENTATION, 1)
    image.getexif = lambda: known
    image.load()
    return before if _ORIENTATION in image.tag_v2 else 1


def rgb(image: Image.Image) -> Image.Image:
    """Convert a picture to RGB as `upright_rgb` does, but leave it as it lies."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in _SIXTEEN_BITS):
        image = _eight_bits(image)
    elif image.mode in _NO_WHITE:
        raise ValueError(
            f"its pixels are {_NO_WHITE[image.mode]}, of which nobody knows which is white; save "
            "it with 8 or 16 bits"
        )
    if image.mode in _FIRST:
        image = image.convert(_FIRST[image.mode])
    if image.mode == "P" and "transparency" in image.info:
        # Same colours as a direct conversion, which would warn about a palette with alpha.
        image = image.convert("RGBA")
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return the upper eight of the bits that a grey picture has."""
    bits = _tag(image, _BITS, 16)
    values = np.asarray(image) >> (bits - 8)
    if _tag(image, _PHOTOMETRIC, 1) == _WHITE_IS_ZERO:  # Pillow minds that up to 8 bits.
        values = 255 - values
    return Image.fromarray(values.astype(np.uint8))


def _tag(image: Image.Image, tag: int, default: int) -> int:
    """Return a number among TIFF's tags; `default` for other formats and damaged tags."""
    try:
        value = image.tag_v2[tag] if isinstance(image, TiffImageFile) else default
    except DAMAGED:
        return default
    value = value[0] if isinstance(value, tuple) and value else value
    return value if isinstance(value, int) else default
