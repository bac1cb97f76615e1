import numpy as np
import pytest
from PIL import Image

from common.data import open_dataset
from common.photos.images import crop, mirror, squash, to_pixels


def reference_pixels(image: Image.Image, size: int, flip: bool) -> np.ndarray:
    """What the textual-inversion dataset of the reference makes of a picture, in its order."""
    image = image.resize((size, size), resample=Image.BICUBIC)
    if flip:
        image = image.transpose(Image.FLIP_LEFT_RIGHT)
    return (np.array(image).astype(np.uint8) / 127.5 - 1.0).astype(np.float32)


@pytest.fixture
def noise() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (37, 61, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("size", [16, 64])
def test_pixels_are_bit_equal_to_the_reference(noise, size: int, flip: bool):
    pixels = squash(noise, size, size)

    ours = to_pixels(mirror(pixels) if flip else pixels)

    assert ours.dtype == np.float32
    assert np.array_equal(ours, reference_pixels(noise, size, flip))


def test_the_whole_picture_is_kept():
    image = Image.new("RGB", (90, 30))
    image.paste((255, 0, 0), (0, 0, 9, 30))

    assert squash(image, 30, 30)[15, 0].tolist() == [255, 0, 0]
    assert squash(image, 30, 30)[15, 29].tolist() == [0, 0, 0]


def test_mirror_flips_left_and_right_only():
    batch = np.arange(24, dtype=np.uint8).reshape(1, 2, 4, 3)

    assert np.array_equal(mirror(batch)[0, 1, 0], batch[0, 1, 3])
    assert np.array_equal(mirror(mirror(batch)), batch)


def test_pixel_range():
    ends = to_pixels(np.asarray([[[0, 255, 51]]], np.uint8))

    assert ends.ravel().tolist() == [-1.0, 1.0, np.float32(51 / 127.5 - 1.0)]


def test_real_photos_of_two_modes(shared_data):
    train = open_dataset(f"coop:{shared_data / 'caltech20'}").train

    for row in range(0, len(train), 40):
        image = train.load(row)
        assert image.mode == "RGB"
        assert np.array_equal(to_pixels(squash(image, 64, 64)), reference_pixels(image, 64, False))


@pytest.mark.parametrize("size", [(50, 31), (31, 50), (40, 40)], ids=str)
def test_crop_is_the_square_in_the_middle(size):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    side = min(size)
    top, left = (size[1] - side) // 2, (size[0] - side) // 2
    middle = pixels[top : top + side, left : left + side]
    np.testing.assert_array_equal(crop(Image.fromarray(pixels), side, side), middle)
    expected = squash(Image.fromarray(np.ascontiguousarray(middle)), 16, 16)
    np.testing.assert_array_equal(crop(Image.fromarray(pixels), 16, 16), expected)


@pytest.mark.parametrize(
    ("size", "part"), [((60, 40), (5, 0, 55, 40)), ((40, 60), (0, 14, 40, 46))], ids=str
)
def test_crop_is_the_largest_part_of_its_shape(noise, size, part):
    photo = noise.resize(size)
    expected = squash(photo.crop(part), 20, 16)
    np.testing.assert_array_equal(crop(photo, 20, 16), expected)
    assert expected.shape == (16, 20, 3)


def test_crop_of_a_single_pixel_is_of_its_colour():
    assert (crop(Image.new("RGB", (1, 1), (9, 8, 7)), 16, 4) == (9, 8, 7)).all()
