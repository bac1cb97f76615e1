"""Pictures as files."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from common.files import atomic_write
from common.paths import AnyPath


def write_png(path: AnyPath | str, pixels: UInt8[np.ndarray, "h w 3"]) -> None:
    """Write a picture, whole or not at all."""
    with atomic_write(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG")
