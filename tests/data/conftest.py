"""Small folders of photos, each of which can be told from its colour."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def write_photo() -> Callable[..., Path]:
    """Returns a function that writes a plain photo and says where."""

    def write(path: Path, color: tuple[int, int, int] = (10, 20, 30), size=(6, 4)) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, color).save(path)
        return path

    return write
