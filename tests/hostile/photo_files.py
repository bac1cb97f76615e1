"""Small photos, sound ones and others."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

COLOUR = (200, 40, 90)


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def photo(path: Path, colour=COLOUR) -> Path:
    """A photo of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(Image.new("RGB", (6, 4), colour)))
    return path


def classes(root: Path, *names: str, photos: int = 2) -> Path:
    """A folder for each class."""
    for name in names:
        for number in range(photos):
            photo(root / name / f"{number}.png")
    return root


def noise(width: int = 7, height: int = 9) -> Image.Image:
    """A picture of which every turning differs."""
    values = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)
