"""A kind of data set: `list:FILE.csv`, whose lines are `part,class,photo`."""

import csv
from pathlib import Path

from common.data import Dataset
from common.data.folder import split_of_files
from common.errors import UserError

PARTS = ("train", "test")


def open_list(where, holdout):
    """Open the photos of a list; paths are taken from the folder of the file."""
    file = Path(where)
    if not file.is_file():
        raise UserError(f"the list {where!r} does not exist: give a CSV file part,class,photo.")
    with file.open(newline="", encoding="utf-8") as lines:
        rows = [row for row in csv.reader(lines) if row]
    if odd := [row for row in rows if len(row) != 3 or row[0] not in PARTS]:
        raise UserError(f"{where} has the line {odd[0]}: write train or test, class, photo.")
    classnames = tuple(sorted({name for _, name, _ in rows}))
    photos = {part: [] for part in PARTS}
    for part, name, photo in rows:
        photos[part].append((file.parent / photo, classnames.index(name)))
    splits = {part: split_of_files(file.parent, photos[part]) for part in PARTS}
    return Dataset(file.stem, classnames, **splits)
