"""What a classifier did with each class and each photo, as rows of tables."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Int

from common.evaluation.classification import confusion
from common.evaluation.figures import predictions_picture

Rows = list[dict[str, Any]]
Tables = dict[str, Rows]


@dataclass(frozen=True)
class PredictionsReport:
    """What a classifier's test adds to the fields of an `Evaluation`; nothing without a test."""

    pictures: dict[str, np.ndarray] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    tables: Tables = field(default_factory=dict)


def predictions_report(
    predicted: Int[np.ndarray, "b"],
    labels: Int[np.ndarray, "b"],
    classnames: Sequence[str],
    names: Sequence[str],
) -> PredictionsReport:
    """Return the report of a test; the arguments are those of `prediction_tables`."""
    tables = prediction_tables(predicted, labels, classnames, names)
    return PredictionsReport(
        pictures={"confusion": predictions_picture(predicted, labels, classnames)},
        details={"classes": tables["classes"]},
        tables=tables,
    )


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
            {
                "class": classnames[true],
                "taken_for": classnames[taken],
                "photos": int(counts[true, taken]),
            }
            for true, taken in np.argwhere(counts)
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
