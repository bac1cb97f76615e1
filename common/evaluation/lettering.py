"""Text in pictures for people: labels as small images, and the names along a matrix's axes."""

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

WHITE, BLACK = (255, 255, 255), (0, 0, 0)
MARGIN = 8
TEXT_SIZE = 14
LINE = 20  # pixels between two labels that can be read


def text_image(words: str) -> Image.Image:
    """Draw the words on white, as small as they fit."""
    measure = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    left, top, right, bottom = measure.multiline_textbbox((0, 0), words or " ", font=text_font())
    size = max(1, math.ceil(right - left)), max(1, math.ceil(bottom - top))
    picture = Image.new("RGB", size, WHITE)
    ImageDraw.Draw(picture).multiline_text((-left, -top), words, font=text_font(), fill=BLACK)
    return picture


@cache
def text_font() -> ImageFont.FreeTypeFont:
    """Return the font of all labels."""
    import matplotlib  # here, since it takes longer to import than all other things of this file

    # Its own font knows far more alphabets than Pillow's.
    return ImageFont.truetype(
        str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), TEXT_SIZE
    )


def label_rows(
    canvas: Image.Image, labels: Sequence[Image.Image | None], right: int, top: int, cell: int
) -> None:
    """Write a label beside each row of a matrix; None leaves a row without one.

    Args:
      canvas: What is written on.
      labels: Of all rows.
      right: Where the labels end.
      top: Of the first row.
      cell: Height of a row.
    """
    for row, label in enumerate(labels):
        if label is not None:
            middle = top + row * cell + (cell - label.height) // 2
            canvas.paste(label, (right - label.width, middle))


def label_columns(
    canvas: Image.Image, labels: Sequence[Image.Image | None], left: int, bottom: int, cell: int
) -> None:
    """Write a label upright above each column, as `label_rows` does beside the rows."""
    for column, label in enumerate(labels):
        if label is not None:
            middle = left + column * cell + (cell - label.height) // 2
            upright = label.transpose(Image.Transpose.ROTATE_90)
            canvas.paste(upright, (middle, bottom - label.width))
