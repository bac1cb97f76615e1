import io
import struct

import numpy as np
import pytest
from PIL import Image

from common.errors import UserError
from common.photos import photo as photos
from common.photos.photo import ArrayPhoto, EncodedPhoto, photo_file

RED = (200, 10, 10)


def saved(image: Image.Image, kind: str = "PNG", **options) -> EncodedPhoto:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return EncodedPhoto("a photo", file.getvalue)


def pixel(photo: EncodedPhoto) -> tuple[int, int, int]:
    image = photo.open()
    assert image.mode == "RGB"
    return image.getpixel((0, 0))


def test_every_mode_becomes_rgb():
    rgb = Image.new("RGB", (3, 2), RED)
    assert pixel(saved(rgb)) == RED
    assert pixel(saved(rgb.quantize(4))) == RED
    assert pixel(saved(Image.new("L", (3, 2), 77))) == (77, 77, 77)
    assert pixel(saved(Image.new("LA", (3, 2), (77, 0)))) == (77, 77, 77)
    assert pixel(saved(Image.new("1", (3, 2), 1))) == (255, 255, 255)
    assert pixel(saved(Image.new("CMYK", (3, 2), (0, 255, 255, 0)), "TIFF")) == (255, 0, 0)
    assert pixel(saved(rgb, "GIF")) == RED


def test_transparency_is_dropped_as_clip_drops_it():
    assert pixel(saved(Image.new("RGBA", (3, 2), (*RED, 0)))) == RED


def test_palette_with_alpha_per_colour_does_not_warn():
    palette = Image.fromarray(np.uint8([[RED, (0, 0, 0)]])).quantize(2)
    shades = bytes([100, 200])

    photo = saved(palette, transparency=shades)

    assert Image.open(io.BytesIO(photo.read())).info["transparency"] == shades
    assert pixel(photo) == RED


def test_sixteen_bit_grey_is_scaled_not_clipped():
    image = Image.fromarray(np.full((2, 3), 0x4080, np.uint16))

    assert pixel(saved(image)) == (0x40, 0x40, 0x40)


def test_animations_show_their_first_frame():
    frames = [Image.new("RGB", (3, 2), color) for color in (RED, (0, 0, 0))]

    assert pixel(saved(frames[0], "GIF", save_all=True, append_images=frames[1:])) == RED


@pytest.mark.parametrize(
    ("orientation", "corner"), [(1, (0, 0)), (3, (2, 1)), (6, (1, 0)), (8, (0, 2))]
)
def test_exif_orientation_is_applied(orientation: int, corner: tuple[int, int]):
    image = Image.new("RGB", (3, 2))
    image.putpixel((0, 0), RED)
    exif = Image.Exif()
    exif[0x0112] = orientation

    upright = saved(image, exif=exif).open()

    assert upright.size == ((3, 2) if orientation in (1, 3) else (2, 3))
    assert upright.getpixel(corner) == RED


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (501, 3)])
def test_odd_sizes(size: tuple[int, int]):
    assert saved(Image.new("RGB", size), "JPEG").open().size == size


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_broken_files_are_named(tmp_path, content: bytes):
    file = tmp_path / "broken.png"
    file.write_bytes(content)

    with pytest.raises(UserError, match=r"broken\.png cannot be read"):
        photo_file(file).open()


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_truncated_files_are_named(tmp_path, kind: str):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    file = tmp_path / "half.img"
    file.write_bytes(saved(Image.fromarray(noise), kind).read()[:2000])

    with pytest.raises(UserError, match=r"half\.img cannot be read"):
        photo_file(file).open()


def test_readers_of_pillow_fail_in_their_own_ways(monkeypatch):
    def fail(image, orientation):
        raise struct.error("required argument is not an integer")

    monkeypatch.setattr(photos, "turned", fail)
    with pytest.raises(UserError, match=r"a photo cannot be read \(required argument"):
        saved(Image.new("RGB", (3, 2))).open()


def test_missing_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"gone\.png cannot be read"):
        photo_file(tmp_path / "gone.png").open()


def test_arrays_are_pictures():
    pixels = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)

    assert np.array_equal(np.asarray(ArrayPhoto(pixels).open()), pixels)
    assert ArrayPhoto(pixels).digest() == ArrayPhoto(pixels.copy()).digest()
    assert ArrayPhoto(pixels).digest() != ArrayPhoto(pixels.reshape(3, 2, 3)).digest()
    assert ArrayPhoto(pixels).digest() != ArrayPhoto(pixels + np.uint8(1)).digest()
