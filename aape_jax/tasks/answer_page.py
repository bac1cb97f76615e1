"""A page of pictures beside what was answered about them."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, UInt8

from aape_jax.diagnostics import text_picture
from aape_jax.tasks.question_set import QuestionSet

SHOWN = 6  # questions of a picture


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
    image = source.image[rows]
    known = np.unique(image)
    chosen = known[np.unique(np.linspace(0, len(known) - 1, pictures).astype(int))]
    lines = [
        [
            f"{source.texts[rows[i]]} {answers[i]} ({source.answers[rows[i]][0]})"
            for i in np.flatnonzero(image == each)[:SHOWN]
        ]
        for each in chosen
    ]
    return text_picture([source.pictures.load(int(each)) for each in chosen], lines)
