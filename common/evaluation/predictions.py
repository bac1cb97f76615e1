"""What a classifier did with each class and each photo, as rows of tables."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from common.evaluation.classification import confusion

Rows = list[dict[str, Any]]
Tables = dict[str, Rows]


def prediction_tables(
    predicted: Int[np.ndarray, "b"],
    labels: Int[np.ndarray, "b"],
    classnames: Sequence[str],
    names: Sequence[str],
) -> Tables:
    """Return the tables `classes`, `mistakes` and `confusion` of a classifier's test.

    Args:
      predicted: Class of each photo, as it was taken to be.
      labels: As it is.
      classnames: One name per class.
      names: Of the photos.
    """
    counts = confusion(predicted, labels, len(classnames))
    return {
        "classes": class_rows(counts, classnames),
        "mistakes": [
            {"photo": names[row], "class": classnames[labels[row]], "taken_for": classnames[taken]}
            for row, taken in enumerate(predicted)
            if taken != labels[row]
        ],
        "confusion": [
            {"class": classnames[true], "taken_for": classnames[taken], "photos": int(count)}
            for (true, taken), count in np.ndenumerate(counts)
            if count
        ],
    }


def class_rows(counts: Int[np.ndarray, "k k"], classnames: Sequence[str]) -> Rows:
    """Return precision, recall and F1 of each class; None where there is nothing to divide by.

    Args:
      counts: Photos of the row's class that were taken for the column's.
      classnames: One name per class.
    """
    rows = []
    for label, name in enumerate(classnames):
        found = int(counts[label, label])
        photos, taken = int(counts[label].sum()), int(counts[:, label].sum())
        rows.append(
            {
                "class": name,
                "photos": photos,
                "found": found,
                "precision": _share(found, taken),
                "recall": _share(found, photos),
                "f1": _share(2 * found, photos + taken),
            }
        )
    return rows


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None
