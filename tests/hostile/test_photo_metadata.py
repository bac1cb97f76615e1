"""Metadata of photos that phones, editors and strangers wrote."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageOps

from common.errors import UserError
from common.photos.photo import EncodedPhoto, decoded
from tests.hostile.photo_files import encoded, noise

ORIENTATIONS = range(1, 9)
KINDS = ["JPEG", "PNG", "WEBP", "TIFF"]


def tagged(orientation: int, kind: str, **tags) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    for tag, value in tags.items():
        exif[int(tag[1:])] = value
    options = {"lossless": True} if kind == "WEBP" else {}
    return encoded(noise(), kind, exif=exif, **options)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_photos_lie_as_pillow_lays_them(kind, orientation):
    content = tagged(orientation, kind)
    with Image.open(io.BytesIO(content)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    assert np.array_equal(np.asarray(decoded(content)), expected)


def block(*entries: bytes, order: str = ">", start: int = 8, count: int | None = None) -> bytes:
    """EXIF with some entries of 12 bytes."""
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", start)
    many = struct.pack(f"{order}H", len(entries) if count is None else count)
    return b"Exif\0\0" + head + many + b"".join(entries)


def entry(tag, kind, count, value, order=">"):
    packed = struct.pack(f"{order}HHI", tag, kind, count)
    return packed + (value if isinstance(value, bytes) else struct.pack(f"{order}I", value))


TURN = entry(0x0112, 3, 1, b"\0\6\0\0")
NOWHERE = 0x7FFFFFFF
TURNED = {
    "a date and time as a rational number": block(entry(0x0132, 5, 1, NOWHERE), TURN),
    "a resolution far outside of the block": block(TURN, entry(0x011A, 5, 1, NOWHERE)),
    "a resolution as text": block(TURN, entry(0x011A, 2, 4, b"72\0\0")),
    "a resolution of nothing": block(TURN, entry(0x011A, 5, 0, 0)),
    "a rational number over zero": block(TURN, entry(0x011A, 5, 1, 34)) + bytes(8),
    "a pointer to EXIF outside of the block": block(TURN, entry(0x8769, 4, 1, NOWHERE)),
    "a pointer to EXIF as text": block(TURN, entry(0x8769, 2, 4, b"abc\0")),
    "a pointer of GPS to itself": block(TURN, entry(0x8825, 4, 1, 8)),
    "four thousand million values": block(entry(0x010F, 2, 0xFFFFFFFF, 0), TURN),
    "an unknown type": block(entry(0x010F, 99, 1, 0), TURN),
    "more entries promised than there are": block(TURN, count=9999),
    "the other byte order": block(entry(0x0112, 3, 1, b"\6\0\0\0", "<"), order="<"),
    "a long number": block(entry(0x0112, 4, 1, 6)),
    "a byte": block(entry(0x0112, 1, 1, b"\6\0\0\0")),
    "the block's name twice": b"Exif\0\0" + block(TURN),
    "broken text in front": block(entry(0x010E, 2, 5, NOWHERE), TURN),
}
UNTURNED = {
    "nothing": b"",
    "a name alone": b"Exif\0\0",
    "no byte order": b"Exif\0\0" + b"XX*\0\0\0\0\x08",
    "a start outside of the block": block(TURN, start=NOWHERE),
    "an orientation of 0": block(entry(0x0112, 3, 1, b"\0\0\0\0")),
    "an orientation of 9": block(entry(0x0112, 3, 1, b"\0\x09\0\0")),
    "an orientation of 65535": block(entry(0x0112, 3, 1, b"\xff\xff\0\0")),
    "an orientation as text": block(entry(0x0112, 2, 1, b"6\0\0\0")),
    "two orientations": block(entry(0x0112, 3, 2, b"\0\6\0\6")),
    "half an entry": block(TURN[:7]),
    "zeros": bytes(40),
    "noise": bytes(range(256)),
}


def with_block(kind: str, exif: bytes) -> bytes:
    if kind == "JPEG":
        content = encoded(noise(), "JPEG", quality=95)
        return content[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + content[2:]
    options = {"lossless": True} if kind == "WEBP" else {}
    return encoded(noise(), kind, exif=exif, **options)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("name", TURNED)
def test_what_phones_write_turns_the_picture(kind, name):
    plain = decoded(with_block(kind, b""))
    found = decoded(with_block(kind, TURNED[name]))
    assert np.array_equal(np.asarray(found), np.asarray(plain.transpose(Image.ROTATE_270)))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("name", UNTURNED)
def test_what_says_nothing_leaves_the_picture(kind, name):
    plain = decoded(with_block(kind, b""))
    assert np.array_equal(np.asarray(decoded(with_block(kind, UNTURNED[name]))), np.asarray(plain))


def test_xmp_turns_where_exif_says_nothing():
    plain = encoded(noise(), "JPEG", quality=95)
    xmp = b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="8"/>'
    content = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(xmp) + 2) + xmp + plain[2:]
    expected = decoded(plain).transpose(Image.ROTATE_90)
    assert np.array_equal(np.asarray(decoded(content)), np.asarray(expected))


def test_photos_of_two_cameras_show_the_first():
    content = encoded(noise(), "MPO", save_all=True, append_images=[noise(3, 3)], quality=95)
    assert decoded(content).size == (7, 9)
    broken = bytearray(content)
    at = broken.index(b"MPF\0")
    broken[at + 12 : at + 60] = b"\xff" * 48
    assert decoded(bytes(broken)).size == (7, 9)


@pytest.mark.parametrize("colours", ["CMYK", "L", "RGB"])
def test_jpegs_without_their_metadata_are_the_same(colours):
    image = noise().convert(colours)
    content = encoded(image, "JPEG", quality=95, exif=Image.Exif())
    with Image.open(io.BytesIO(content)) as opened:
        assert np.array_equal(np.asarray(decoded(content)), np.asarray(opened.convert("RGB")))


@pytest.mark.parametrize("cut", [3, 4, 5, 20, 30])
def test_jpegs_that_end_among_their_segments(cut):
    with pytest.raises(UserError, match="a photo cannot be read"):
        EncodedPhoto("a photo", lambda: with_block("JPEG", TURNED["a byte"])[:cut]).open()
