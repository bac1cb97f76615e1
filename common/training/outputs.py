"""What an evaluation gives beside its numbers, as files: pictures, JSON and tables."""

from common.csv_text import csv_text
from common.files import atomic_write, write_json
from common.paths import AnyPath
from common.pictures import write_png
from common.training.types import Evaluation


def output_names(evaluation: Evaluation) -> list[str]:
    """Return the names of the files that `write_outputs` writes."""
    return [
        *(f"{name}.png" for name in evaluation.pictures),
        *(f"{name}.json" for name in evaluation.files),
        *(f"{name}.csv" for name, rows in evaluation.tables.items() if rows),
    ]


def write_outputs(evaluation: Evaluation, folder: AnyPath, prefix: str = "") -> None:
    """Write each picture as PNG, each file as JSON and each table as CSV, by its name.

    Args:
      evaluation: What was measured.
      folder: Where the files go.
      prefix: In front of their names.
    """
    for name, picture in evaluation.pictures.items():
        write_png(folder / f"{prefix}{name}.png", picture)
    for name, content in evaluation.files.items():
        write_json(folder / f"{prefix}{name}.json", content)
    for name, rows in evaluation.tables.items():
        file = folder / f"{prefix}{name}.csv"
        if not rows:
            file.unlink(missing_ok=True)  # of an evaluation before
            continue
        with atomic_write(file) as temporary:
            temporary.write_text(csv_text(rows), encoding="utf-8")
