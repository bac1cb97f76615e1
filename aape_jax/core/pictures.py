"""Photos beside lines of text, such as answers about them."""

import textwrap
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image, ImageDraw

from aape_jax.datasets.question_set import QuestionSet

TILE, LINE, WIDTH = 128, 15, 620
QUESTIONS = 6  # questions of a picture


def text_picture(
    photos: Sequence[Image.Image], texts: Sequence[Sequence[str]]
) -> UInt8[np.ndarray, "h w 3"]:
    """Draw photos, each beside its lines of text."""
    rows = [_row(photo, lines) for photo, lines in zip(photos, texts, strict=True)]
    canvas = Image.new("RGB", (WIDTH, sum(row.height for row in rows)), "white")
    top = 0
    for row in rows:
        canvas.paste(row, (0, top))
        top += row.height
    return np.asarray(canvas)


def answer_page(
    source: QuestionSet, rows: Int[np.ndarray, "q"], answers: Sequence[str], pictures: int
) -> UInt8[np.ndarray, "h w 3"]:
    """Draw some pictures with answers and, in brackets, a person's.

    Args:
      source: Where the questions come from.
      rows: Which of them were asked.
      answers: To each of these.
      pictures: How many are shown.
    """
    image_of = source.image[rows]
    images = np.unique(image_of)
    chosen = images[np.unique(np.linspace(0, len(images) - 1, pictures).astype(int))]
    lines = [
        [
            f"{source.texts[rows[i]]} {answers[i]} ({source.answers[rows[i]][0]})"
            for i in np.flatnonzero(image_of == image)[:QUESTIONS]
        ]
        for image in chosen
    ]
    return text_picture([source.pictures.load(int(image)) for image in chosen], lines)


def _row(photo: Image.Image, texts: Sequence[str]) -> Image.Image:
    lines: list[str] = []
    for text in texts:
        lines += textwrap.wrap(text, 72, subsequent_indent=" " * 9) or [""]
    height = max(TILE, LINE * len(lines)) + 16
    row = Image.new("RGB", (WIDTH, height), "white")
    # Pocket pictures are small; photos are not.
    small = max(photo.size) < TILE
    how = Image.Resampling.NEAREST if small else Image.Resampling.BICUBIC
    row.paste(photo.resize((TILE, TILE), how), (8, 8))
    draw = ImageDraw.Draw(row)
    for number, line in enumerate(lines):
        draw.text((TILE + 24, 8 + LINE * number), line, fill="black")
    return row
