"""Cosines between classes as pictures: one shaded matrix beside the other."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from common.evaluation.lettering import (
    LINE,
    MARGIN,
    WHITE,
    label_columns,
    label_rows,
    text_image,
)

SIDE = 240  # pixels of a matrix at the least
MOST_NAMES = 60


def similarity_matrices(
    matrices: Mapping[str, Float[np.ndarray, "k k"]], classnames: Sequence[str]
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw matrices of cosines under their headings, dark where a matrix has its largest.

    Args:
      matrices: By heading, all of the same classes.
      classnames: One name per class, beside the rows and upright above the columns. Of more than
        `MOST_NAMES` the numbers are written instead, counted from 0.
    """
    if any(len(matrix) != len(classnames) for matrix in matrices.values()):
        raise ValueError(f"{len(classnames)} names do not fit the matrices.")
    named = len(classnames) <= MOST_NAMES
    cell = max(LINE if named else 1, -(-SIDE // len(classnames)))
    labels = _names(classnames) if named else _numbers(len(classnames), cell)
    headings = [text_image(heading) for heading in matrices]

    edge = max(label.width for label in labels if label is not None) + MARGIN
    top = 2 * MARGIN + max(heading.height for heading in headings) + edge
    side = cell * len(classnames)
    size = MARGIN + len(matrices) * (edge + side + MARGIN), top + side + MARGIN
    canvas = Image.new("RGB", size, WHITE)
    for number, (heading, matrix) in enumerate(zip(headings, matrices.values(), strict=True)):
        left = MARGIN + edge + number * (edge + side + MARGIN)
        canvas.paste(heading, (left, MARGIN))
        label_rows(canvas, labels, left - MARGIN, top, cell)
        label_columns(canvas, labels, left, top - MARGIN, cell)
        canvas.paste(Image.fromarray(_shaded(matrix, cell)), (left, top))
    return np.asarray(canvas)


def _names(classnames: Sequence[str]) -> list[Image.Image | None]:
    return [text_image(name) for name in classnames]


def _numbers(count: int, cell: int) -> list[Image.Image | None]:
    """Return the numbers of classes, as many as can be read."""
    step = next(x for x in (1, 2, 5, 10, 20, 50) if x * cell >= LINE)
    return [text_image(str(number)) if number % step == 0 else None for number in range(count)]


def _shaded(matrix: Float[np.ndarray, "k k"], cell: int) -> UInt8[np.ndarray, "side side 3"]:
    scaled = (matrix - matrix.min()) / max(np.ptp(matrix), 1e-6)
    grey = np.round(255 * (1 - scaled)).astype(np.uint8)
    return np.repeat(np.kron(grey, np.ones((cell, cell), np.uint8))[..., None], 3, axis=-1)
