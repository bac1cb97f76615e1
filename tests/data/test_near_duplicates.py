import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from common.data import near_duplicates
from common.data.near_duplicates import duplicate_groups
from common.photos.photo import ArrayPhoto
from common.pocket.datasets import open_pocket


@pytest.fixture(scope="module")
def photos():
    """Photos of the pocket world, eight times as large, as photos are."""
    train = open_pocket("rare").train
    return [train.load(row).resize((256, 256), Image.Resampling.BICUBIC) for row in range(60)]


def groups_of(images) -> list[int]:
    return duplicate_groups([ArrayPhoto(np.asarray(image)) for image in images]).tolist()


def as_jpeg(image: Image.Image) -> Image.Image:
    content = io.BytesIO()
    image.save(content, "JPEG", quality=40)
    return Image.open(content).convert("RGB")


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.resize((111, 90)),
        as_jpeg,
        ImageOps.mirror,
        lambda image: image.crop((2, 2, 254, 254)),
        lambda image: image.point(lambda value: int(value * 0.9)),
    ],
    ids=["smaller", "jpeg", "mirror", "cut", "darker"],
)
def test_changed_copies_are_of_one_group(photos, change):
    images = [*photos[:10], *(change(image) for image in photos[:10])]
    groups = groups_of(images)
    assert groups[:10] == groups[10:]


def test_different_photos_of_one_class_are_not(photos):
    assert len(set(groups_of(photos))) == len(photos)


def test_chains_are_one_group_and_seven_bits_are_too_many(monkeypatch):
    # By the width of the picture: each of the first three differs in six bits from the one before.
    bits = {width: np.arange(128) < 6 * width for width in (1, 2, 3)}
    bits[10] = np.arange(128) >= 7 + 18
    monkeypatch.setattr(near_duplicates, "difference_hash", lambda image: bits[image.width])
    first, second, third, other = groups_of(Image.new("RGB", (width, 1)) for width in bits)
    assert first == second == third != other
    bits[10] = bits[3] ^ (np.arange(128) >= 128 - 7)
    assert groups_of(Image.new("RGB", (width, 1)) for width in bits)[3] != first
