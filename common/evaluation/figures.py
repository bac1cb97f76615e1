"""Pictures for people: confusion matrices and grids of images, as uint8 arrays."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image, ImageDraw

from common.data.splits import ImageSplit
from common.evaluation.classification import confusion
from common.evaluation.lettering import (
    BLACK,
    MARGIN,
    WHITE,
    label_columns,
    label_rows,
    text_font,
    text_image,
)
from common.photos.images import FITS

PALE, BLUE = (243, 246, 250), (8, 69, 148)
WRAP = 28  # letters in a line of a row label
CELL = 32  # side of a confusion matrix's cell in pixels
MOST_CLASSES = 60  # of a confusion matrix
LEAST_SIDE = 96  # of an image in a grid, in pixels
SHOWN = 2  # photos of a class in a sheet


def predictions_picture(
    predicted: Int[np.ndarray, "b"], labels: Int[np.ndarray, "b"], classnames: Sequence[str]
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw which classes were taken for which: see `confusion_picture`."""
    return confusion_picture(confusion(predicted, labels, len(classnames)), classnames)


def confusion_picture(
    confusion: Int[np.ndarray, "k k"], classnames: Sequence[str]
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw a confusion matrix: rows are true classes, columns predicted ones.

    Cells are shaded by their share of the row and hold the count where it is not 0. Of more than
    `MOST_CLASSES` classes only the ones with the most errors are drawn.

    Args:
      confusion: As `classification.confusion` counts it.
      classnames: One name per class; written beside the rows and, upright, above the columns.
    """
    if len(classnames) != len(confusion):
        raise ValueError(f"{len(classnames)} names for {len(confusion)} classes.")
    totals = np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    errors = confusion.sum(axis=0) + confusion.sum(axis=1) - 2 * np.diag(confusion)
    shown = np.sort(np.argsort(-errors, kind="stable")[:MOST_CLASSES])
    counts, shares = (matrix[np.ix_(shown, shown)] for matrix in (confusion, confusion / totals))

    labels = [text_image(classnames[label]) for label in shown]
    axes = [text_image("true"), text_image("predicted")]
    band = axes[0].height + MARGIN
    edge = band + max(label.width for label in labels) + 2 * MARGIN
    side = edge + CELL * len(labels) + MARGIN
    canvas = Image.new("RGB", (side, side), WHITE)
    draw = ImageDraw.Draw(canvas)
    true, predicted = axes[0].transpose(Image.Transpose.ROTATE_90), axes[1]
    canvas.paste(true, (MARGIN // 2, max(MARGIN, (edge + side - true.height) // 2)))
    canvas.paste(predicted, (max(MARGIN, (edge + side - predicted.width) // 2), MARGIN // 2))
    label_rows(canvas, labels, edge - MARGIN, edge, CELL)
    label_columns(canvas, labels, edge, edge - MARGIN, CELL)
    for row in range(len(labels)):
        top = edge + row * CELL
        for column, (count, share) in enumerate(zip(counts[row], shares[row], strict=True)):
            left = edge + column * CELL
            draw.rectangle((left, top, left + CELL - 2, top + CELL - 2), fill=_shade(share))
            if count:
                centre = (left + CELL / 2 - 1, top + CELL / 2 - 1)
                fill = WHITE if share > 0.5 else BLACK
                draw.text(centre, str(count), font=text_font(), fill=fill, anchor="mm")
    return np.asarray(canvas)


def image_grid(
    rows: Sequence[Sequence[UInt8[np.ndarray, "h w 3"]]] | UInt8[np.ndarray, "r c h w 3"],
    row_labels: Sequence[str],
    column_labels: Sequence[str] = (),
) -> UInt8[np.ndarray, "height width 3"]:
    """Lay images of one size out in labelled rows, which may be of different lengths.

    Images of less than `LEAST_SIDE` are enlarged by a whole factor, without smoothing.

    Args:
      rows: The images of each row.
      row_labels: What stands to the left of each row; long ones are wrapped.
      column_labels: What stands above the columns, from the left.
    """
    if len(row_labels) != len(rows):
        raise ValueError(f"{len(row_labels)} labels for {len(rows)} rows.")
    height, width, _ = next(image.shape for row in rows for image in row)
    factor = max(1, -(-LEAST_SIDE // min(height, width)))
    step_x, step_y = width * factor + MARGIN, height * factor + MARGIN
    labels = [text_image(textwrap.fill(label, WRAP)) for label in row_labels]
    headings = [text_image(label) for label in column_labels]
    left = max(label.width for label in labels) + 2 * MARGIN
    top = MARGIN + (max(label.height for label in headings) + MARGIN if headings else 0)
    columns = max(len(headings), *(len(row) for row in rows))
    canvas = Image.new("RGB", (left + columns * step_x, top + len(rows) * step_y), WHITE)
    for column, heading in enumerate(headings):
        canvas.paste(heading, (left + column * step_x, MARGIN))
    for number, (label, row) in enumerate(zip(labels, rows, strict=True)):
        y = top + number * step_y
        canvas.paste(label, (MARGIN, y + (height * factor - label.height) // 2))
        for column, image in enumerate(row):
            large = image.repeat(factor, axis=0).repeat(factor, axis=1)
            canvas.paste(Image.fromarray(large), (left + column * step_x, y))
    return np.asarray(canvas)


def class_sheet(
    photos: ImageSplit | None,
    classnames: Mapping[int, str],
    samples: Mapping[str, UInt8[np.ndarray, "k g h w 3"]],
    size: tuple[int, int],
    fit: str = "squash",
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw one row per class: some of its photos, then what each variant generated for it.

    Args:
      photos: The training photos; None where only their features are known.
      classnames: Of the K classes that have a row, by their number.
      samples: Their generated pictures by the variant's name.
      size: Their width and height in pixels.
      fit: How photos are given it, a key of `FITS`.
    """
    rows, labels = [], np.zeros(0) if photos is None else photos.labels
    shown = SHOWN if len(labels) else 0
    width, height = size
    for number, label in enumerate(classnames):
        chosen = np.flatnonzero(labels == label)[:shown]
        row = [FITS[fit](photos.load(int(index)), width, height) for index in chosen]
        blank = np.full((height, width, 3), WHITE, np.uint8)
        row.extend([blank] * (shown - len(chosen)))
        for images in samples.values():
            row.extend(images[number])
        rows.append(row)
    headings = ["photos", *[""] * (shown - 1)] if shown else []
    for name, images in samples.items():
        headings.extend([name, *[""] * (images.shape[1] - 1)])
    return image_grid(rows, list(classnames.values()), headings)


def _shade(share: float) -> tuple[int, ...]:
    return tuple(round(w + share * (b - w)) for w, b in zip(PALE, BLUE, strict=True))
