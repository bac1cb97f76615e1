"""Photos: odd modes, phones' metadata, other formats, damaged and hostile files."""

import os
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from common.errors import UserError
from common.photos import photo as readers
from common.photos.formats import formats, suffixes, why_not
from common.photos.photo import ArrayPhoto, EncodedPhoto, decoded, photo_file, upright_rgb
from tests.hostile.photo_files import COLOUR, encoded, noise, photo

GREY = (119, 119, 119)


def first(content: bytes) -> tuple[int, ...]:
    picture = EncodedPhoto("a photo", lambda: content).open()
    assert picture.mode == "RGB"
    return picture.getpixel((0, 0))


def of_mode(mode: str, value) -> Image.Image:
    return Image.new(mode, (3, 2), value)


def grey16(value: int, dtype="<u2") -> Image.Image:
    return Image.fromarray(np.full((2, 3), value, dtype))


# Every mode that Pillow knows: what a picture of it shows, or that it is refused.
MODES = {
    "1": (of_mode("1", 1), (255, 255, 255)),
    "L": (of_mode("L", 119), GREY),
    "LA": (of_mode("LA", (119, 7)), GREY),
    "La": (of_mode("La", (119, 255)), GREY),
    "La, half transparent": (of_mode("La", (60, 128)), (120, 120, 120)),
    "P": (of_mode("RGB", COLOUR).quantize(2), COLOUR),
    "PA": (of_mode("RGB", COLOUR).quantize(2).convert("PA"), COLOUR),
    "RGB": (of_mode("RGB", COLOUR), COLOUR),
    "RGBA": (of_mode("RGBA", (*COLOUR, 3)), COLOUR),
    "RGBa": (of_mode("RGBa", (*COLOUR, 255)), COLOUR),
    "RGBX": (of_mode("RGBX", (*COLOUR, 0)), COLOUR),
    "CMYK": (of_mode("CMYK", (0, 255, 255, 0)), (255, 0, 0)),
    "YCbCr": (of_mode("YCbCr", (119, 128, 128)), GREY),
    "HSV": (of_mode("HSV", (0, 255, 200)), (200, 0, 0)),
    "LAB": (of_mode("LAB", (128, 128, 128)), GREY),
    "I;16": (grey16(0x7780), GREY),
    "I;16B": (of_mode("I;16B", 0x7780), GREY),
    "I;16L": (of_mode("I;16L", 0x7780), GREY),
    "I;16N": (of_mode("I;16N", 0x7780), GREY),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_keeps_its_colours(mode):
    image, colour = MODES[mode]
    found = upright_rgb(image)
    assert found.mode == "RGB"
    assert np.abs(np.subtract(found.getpixel((0, 0)), colour)).max() <= 1


@pytest.mark.parametrize(("mode", "said"), [("F", "floating-point"), ("I", "32-bit integers")])
@pytest.mark.parametrize("value", [0, 1, 200, 70_000])
def test_pixels_whose_white_nobody_knows_are_refused(mode, said, value):
    content = encoded(of_mode(mode, value), "TIFF")
    with pytest.raises(UserError, match=f"a photo cannot be read .*{said}.*save it with 8 or 16"):
        first(content)


def test_floating_point_pixmaps_are_refused():
    header = b"Pf\n3 2\n-1.0\n"
    with pytest.raises(UserError, match="floating-point"):
        first(header + np.full(6, 0.5, "<f4").tobytes())


@pytest.mark.parametrize(
    ("most", "value", "shown"),
    [(255, 119, 119), (1023, 478, 119), (4095, 1911, 119), (65535, 0x7780, 119), (1, 1, 255)],
)
def test_grey_pixmaps_are_scaled_by_their_own_white(most, value, shown):
    kind = ">u2" if most > 255 else "u1"
    found = first(f"P5\n3 2\n{most}\n".encode() + np.full(6, value, kind).tobytes())
    assert abs(found[0] - shown) <= 1 and len(set(found)) == 1


def tiff(values: np.ndarray, bits: int, **tags: int) -> bytes:
    """A TIFF without compression, of grey."""
    height, width, data = *values.shape, values.tobytes()
    entries = {256: width, 257: height, 258: bits, 259: 1, 262: 1, 277: 1, 278: height}
    entries |= {273: 8 + 2 + 12 * 10 + 4, 279: len(data), 339: 1} | {
        int(name[1:]): value for name, value in tags.items()
    }
    ifd = struct.pack("<H", len(entries))
    for tag, value in sorted(entries.items()):
        ifd += struct.pack("<HHII", tag, 4 if tag in (273, 279) else 3, 1, value)
    head = b"II*\0" + struct.pack("<I", 8) + ifd + struct.pack("<I", 0)
    entries[273] = len(head)
    assert len(head) == 8 + 2 + 12 * len(entries) + 4
    return head + data


def test_sixteen_bits_where_white_is_zero():
    values = np.full((2, 3), 0xFFFF - 0x7780, "<u2")
    assert first(tiff(values, 16)) == (0x88,) * 3
    assert first(tiff(values, 16, t262=0)) == GREY


def test_twelve_bits_are_not_black():
    packed = np.frombuffer(bytes([0x77, 0x77, 0x77] * 4), np.uint8).reshape(2, 6)
    content = bytearray(tiff(packed, 12))
    # The width is in pixels of twelve bits, of which two take three bytes.
    at = content.index(struct.pack("<HHII", 256, 3, 1, 6))
    content[at : at + 12] = struct.pack("<HHII", 256, 3, 1, 4)
    assert first(bytes(content)) == GREY


def test_avif_is_read_where_pillow_reads_it():
    if "AVIF" not in formats():
        pytest.skip("this Pillow reads no AVIF")
    assert ".avif" in suffixes()
    content = encoded(noise(), "AVIF", quality=100, subsampling="4:4:4")
    assert decoded(content).size == (7, 9)


def test_avif_of_an_older_pillow_is_named(monkeypatch):
    monkeypatch.setattr("common.photos.formats._built_in", lambda module: False)
    formats.cache_clear()
    suffixes.cache_clear()
    try:
        assert ".avif" not in suffixes() and ".jpg" in suffixes()
        assert "pip install -U pillow" in why_not(".avif")
    finally:
        formats.cache_clear()
        suffixes.cache_clear()


FOREIGN = {
    "HEIC": (b"\0\0\0\x18ftypheic" + bytes(40), "HEIC, which is not read: convert it"),
    "HEIF": (b"\0\0\0\x18ftypmif1" + bytes(40), "HEIC, which is not read: convert it"),
    "EPS": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript, which is not read"),
    "PDF": (b"%PDF-1.7\n", "is PDF, which is not read"),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is SVG, which is not read"),
    "Photoshop": (encoded(noise(), "PNG").replace(b"\x89PNG", b"8BPS"), "is Photoshop's"),
    "a zip": (b"PK\x03\x04" + bytes(30), "is a zip: unpack it"),
    "a web page": (b"<!DOCTYPE html><html>404</html>", "is a web page: download"),
    "a pointer of Git-LFS": (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
    "an icon": (encoded(noise(16, 16), "ICO"), "no known kind of picture"),
    "Targa": (encoded(noise(), "TGA"), "no known kind of picture"),
    "SGI": (encoded(noise(), "SGI"), "no known kind of picture"),
    "PCX": (encoded(noise(), "PCX"), "no known kind of picture"),
    "an empty file": (b"", "is empty: copy it again"),
    "zeros": (bytes(500), "is empty: copy it again"),
    "text": (b"not a photo", "no known kind of picture"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_other_formats_are_named_and_reach_no_reader(kind, monkeypatch):
    content, said = FOREIGN[kind]
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("a program was started"))
    with pytest.raises(UserError, match=f"a photo cannot be read .*{said}"):
        first(content)


def test_the_readers_are_few():
    assert set(formats()) <= {"AVIF", "BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP"}


def test_bombs_are_refused_by_their_size():
    content = bytearray(encoded(noise(), "PNG"))
    content[16:24] = struct.pack(">II", 40_000, 40_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    with pytest.raises(UserError, match=r"it has 1600000000 pixels, more than \d+; make it small"):
        first(bytes(content))


@pytest.mark.parametrize("size", [(60_000, 1), (1, 60_000), (1001, 1)])
def test_threads_would_fill_the_memory(size):
    with pytest.raises(UserError, match=r"it has \d+ x \d+ pixels; cut it"):
        first(encoded(Image.new("L", size)))
    assert decoded(encoded(Image.new("L", (1000, 1)))).size == (1000, 1)


def test_photos_of_large_cameras_are_no_bombs(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        assert decoded(encoded(noise(), "PNG")).size == (7, 9)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_half_files_are_named(kind, share):
    content = encoded(noise(64, 64), kind)
    with pytest.raises(UserError, match="a photo cannot be read"):
        first(content[: int(len(content) * share)])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_flipped_bytes_give_a_picture_or_a_sentence(kind):
    content = encoded(noise(24, 24), kind)
    generator = np.random.default_rng(1)
    for _ in range(60):
        damaged = bytearray(content)
        for place in generator.integers(0, len(content), 3):
            damaged[place] = generator.integers(256)
        try:
            assert EncodedPhoto("a photo", lambda own=bytes(damaged): own).open().mode == "RGB"
        except UserError as error:
            assert "a photo" in str(error)


class TestFiles:
    """Files that are not there, not files, or not the same any more."""

    def test_a_pipe_does_not_hang(self, tmp_path):
        os.mkfifo(tmp_path / "pipe.png")
        with pytest.raises(UserError, match=r"pipe\.png cannot be read \(it is a folder, a pipe"):
            photo_file(tmp_path / "pipe.png").open()

    def test_an_endless_device_does_not_fill_the_memory(self, tmp_path):
        (tmp_path / "zero.png").symlink_to("/dev/zero")
        with pytest.raises(UserError, match=r"zero\.png cannot be read \(it is a folder, a pipe"):
            photo_file(tmp_path / "zero.png").digest()

    def test_huge_files(self, tmp_path, monkeypatch):
        monkeypatch.setattr(readers, "LARGEST", 100)
        file = photo(tmp_path / "a.png")
        file.write_bytes(file.read_bytes() + bytes(100))
        with pytest.raises(UserError, match="bytes, more than 100"):
            photo_file(file).open()

    def test_a_file_that_vanishes(self, tmp_path):
        picture = photo_file(photo(tmp_path / "a.png"))
        picture.digest()
        (tmp_path / "a.png").unlink()
        with pytest.raises(UserError, match=r"a\.png cannot be read \(.*No such file"):
            picture.open()

    def test_a_file_that_changes_behind_its_fingerprint(self, tmp_path):
        picture = photo_file(photo(tmp_path / "a.png"))
        picture.digest()
        photo(tmp_path / "a.png", (1, 2, 3))
        with pytest.raises(UserError, match=r"a\.png cannot be read \(it changed while it was in"):
            picture.open()

    def test_a_file_is_read_once_for_both(self, tmp_path):
        reads = []
        content = encoded(noise())
        picture = EncodedPhoto("a photo", lambda: reads.append(1) or content)
        picture.open()
        picture.digest()
        assert len(reads) == 1


def test_arrays_need_no_file():
    assert ArrayPhoto(np.zeros((2, 3, 3), np.uint8)).open().size == (3, 2)
