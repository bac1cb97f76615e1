"""How a photo lies, read from its metadata without Pillow's readers of metadata.

Those fail on what phones and editors write, and Pillow's own turning writes the metadata anew,
which fails more often. Nothing here raises: metadata that cannot be read says nothing.
"""

import re
import struct
from typing import NamedTuple

from PIL import Image

_TAG = 0x0112
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_NUMBERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}  # of TIFF's types
_IN_XMP = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# JPEG's markers: those of segments that hold metadata alone, and those without a length.
_SCAN = 0xDA
_ADOBE, _JFIF = 0xEE, 0xE0  # They say what the colours mean.
_METADATA = (set(range(0xE0, 0xF0)) | {0xFE}) - {_ADOBE, _JFIF}
_ALONE = {0x01, *range(0xD0, 0xDA)}


class Metadata(NamedTuple):
    """The blocks that may say how a photo lies."""

    exif: bytes = b""
    xmp: bytes = b""

    @property
    def orientation(self) -> int:
        """1 to 8 as EXIF counts; 1 is upright, also where none is stated."""
        number = _of_exif(self.exif)
        if number is None and (match := _IN_XMP.search(self.xmp)):
            number = int(match[1])
        return number if number in _TURNS else 1


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """Return the picture upright."""
    method = _TURNS.get(orientation)
    return image if method is None else image.transpose(method)


def metadata_of(image: Image.Image) -> Metadata:
    """Return what the reader of a format other than JPEG found."""
    info = image.info
    exif, xmp = info.get("exif"), info.get("xmp") or info.get("XML:com.adobe.xmp")
    if exif is None:
        exif = _unhex(info.get("Raw profile type exif"))
    return Metadata(_bytes(exif), _bytes(xmp))


def parted(jpeg: bytes) -> tuple[bytes, Metadata]:
    """Return a JPEG without its metadata, and these; as it is if its segments are damaged."""
    kept, exif, xmp = [jpeg[:2]], b"", b""
    place = 2
    while place + 4 <= len(jpeg) and jpeg[place] == 0xFF:
        marker = jpeg[place + 1]
        if marker == 0xFF:  # Fill bytes may stand in front of any marker.
            place += 1
            continue
        if marker == _SCAN:
            break
        end = place + 2
        if marker not in _ALONE:
            end += int.from_bytes(jpeg[place + 2 : place + 4])
        segment = jpeg[place + 4 : end]
        if marker not in _METADATA:
            kept.append(jpeg[place:end])
        elif marker == 0xE1 and segment.startswith(_EXIF):
            exif += segment[len(_EXIF) :] if exif else segment
        elif marker == 0xE1 and segment.startswith(_XMP):
            xmp = segment[len(_XMP) :]
        place = end
    return b"".join((*kept, jpeg[place:])), Metadata(exif, xmp)


def _of_exif(block: bytes) -> int | None:
    """Return the orientation that a block of EXIF states; None if it states none."""
    while block.startswith(_EXIF):
        block = block[len(_EXIF) :]
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return None
    number = None
    try:
        (start,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, values = struct.unpack_from(f"{order}HHI", block, entry)
            if tag == _TAG and values == 1 and kind in _NUMBERS:
                (number,) = struct.unpack_from(f"{order}{_NUMBERS[kind]}", block, entry + 8)
    except struct.error:  # The block ends before it says so.
        pass
    return number


def _unhex(profile: object) -> bytes:
    """Decode what ImageMagick writes into a PNG: a name, a length and hexadecimal digits."""
    try:
        return bytes.fromhex("".join(str(profile or "").split("\n")[3:]))
    except ValueError:
        return b""


def _bytes(block: object) -> bytes:
    if isinstance(block, str):
        return block.encode("utf-8", "replace")
    return block if isinstance(block, bytes) else b""
