"""Pictures as files, and the texts in them."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from common.damage import DAMAGED, cause
from common.errors import UserError
from common.files import atomic_write, require_file
from common.paths import AnyPath, on_disk
from common.text import shown

_LARGEST = 2**28  # bytes of a picture


def write_png(
    path: AnyPath | str, pixels: UInt8[np.ndarray, "h w 3"], texts: Mapping[str, str] | None = None
) -> None:
    """Write a picture, whole or not at all; `texts` are kept in it by keyword."""
    info = PngInfo()
    for keyword, text in (texts or {}).items():
        info.add_text(keyword, text)  # Beyond Latin-1 as iTXt, which is UTF-8.
    with atomic_write(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG", pnginfo=info)


def read_png_texts(path: AnyPath) -> dict[str, str]:
    """Return the texts in front of a picture's pixels, which are not read.

    Raises:
      UserError: The file is missing, damaged or not a PNG.
    """
    remedy = "give a PNG picture"
    require_file(path, remedy, _LARGEST)
    try:
        with on_disk(path) as copy, Image.open(copy, formats=["PNG"]) as picture:
            return {key: str(x) for key, x in picture.info.items() if isinstance(x, str)}
    except DAMAGED as error:
        raise UserError(f"{shown(path)} cannot be read ({cause(error)}): {remedy}.") from error
