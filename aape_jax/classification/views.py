"""Views of a photo: itself, and random crops that are encoded once instead of in every step."""

import numpy as np
from PIL import Image

from common.data.clip_features import ORIGINAL, Version

# CoOp's augmentation, which is torchvision's RandomResizedCrop with its defaults and a flip.
CROP_AREA = (0.08, 1.0)
CROP_RATIO = (3 / 4, 4 / 3)
CROP_TRIES = 10


def view(number: int, size: int, seed: int) -> Version:
    """Return a view: 0 is the photo, others depend on the seed, the row and their number."""
    if not number:
        return ORIGINAL

    def change(photo: Image.Image, row: int) -> Image.Image:
        return random_crop(photo, size, np.random.default_rng((seed, row, number)))

    return Version(f"view {number} of seed {seed}", change)


def random_crop(image: Image.Image, size: int, generator: np.random.Generator) -> Image.Image:
    """Cut a random part of the photo, resized to a square and mirrored every other time."""
    width, height = image.size
    box = (0, 0, width, height)
    for _ in range(CROP_TRIES):
        area = width * height * generator.uniform(*CROP_AREA)
        ratio = np.exp(generator.uniform(*np.log(CROP_RATIO)))
        wide, high = round(np.sqrt(area * ratio)), round(np.sqrt(area / ratio))
        if 0 < wide <= width and 0 < high <= height:
            left = int(generator.integers(width - wide + 1))
            top = int(generator.integers(height - high + 1))
            box = (left, top, left + wide, top + high)
            break
    image = image.resize((size, size), Image.Resampling.BICUBIC, box=box)
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if generator.random() < 0.5 else image
