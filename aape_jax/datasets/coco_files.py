"""What COCO's and VQA's annotation files have in common: lists of objects, and photos by name."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aape_jax.datasets.worded import worded
from common.data import ImageSplit
from common.data.places import is_file, is_folder, local_path
from common.errors import UserError
from common.files import shown
from common.photos.photo import photo_file
from common.records import Record

Captions = dict[int | str, tuple[str, ...]]
"""Of each image, by its id."""

Captioned = tuple[ImageSplit, tuple[tuple[str, ...], ...]]
"""Photos of a part of a data set, and the captions of each."""

Parts = Callable[[str], Captioned]
"""A data set that is open: gives the part "train" or "test", of which either may be left alone."""

REMEDY = "download it again"

_LARGEST_ID = 2**63 - 1
# What a file is that was given in another's place, by a list in it and a field of its objects.
_KINDS = (
    ("images", "sentences", "Karpathy's split file"),
    ("annotations", "caption", "COCO's file of captions"),
    ("annotations", "bbox", "COCO's file of boxes"),
    ("annotations", "answers", "VQA's file of answers"),
    ("questions", "question", "VQA's file of questions"),
)


@dataclass(frozen=True)
class Entries:
    """A list of objects in a JSON file, read a field of all objects at once.

    Attributes:
      file: Of the list.
      name: Of the list.
      rows: The objects.
    """

    file: Path
    name: str
    rows: Sequence[dict[str, Any]]

    def numbers(self, field: str) -> list[int]:
        """Return the field as whole numbers from 0; text that is one counts as well."""
        return [
            value
            if type(value) is int and 0 <= value <= _LARGEST_ID
            else self.record(number).integer(field, high=_LARGEST_ID)
            for number, value in enumerate(row[field] for row in self.rows)
        ]

    def ids(self, field: str) -> list[int | str]:
        """Return the field as numbers, or text that is not one."""
        return [
            self.record(number).text(field) if _is_word(value) else self._one(number, field)
            for number, value in enumerate(row[field] for row in self.rows)
        ]

    def texts(self, field: str) -> list[str]:
        """Return the field as texts."""
        return [
            value if type(value) is str else self.record(number).text(field)
            for number, value in enumerate(row[field] for row in self.rows)
        ]

    def record(self, number: int) -> Record:
        """Return one of the objects, for fields that vary between objects."""
        place = f"{self.name}[{number}]."
        return Record(self.rows[number], repr(str(self.file)), REMEDY, place)

    def _one(self, number: int, field: str) -> int:
        return self.record(number).integer(field, high=_LARGEST_ID)


def entries(content: Mapping[str, Any], file: Path, name: str, fields: Sequence[str]) -> Entries:
    """Return the list `name` of what a JSON file holds.

    Raises:
      UserError: There is no such list, or an object in it lacks one of `fields`.
    """
    rows, kind = content.get(name), kind_of(content)
    remedy = f"it is {kind}, so give another" if kind else REMEDY
    if not isinstance(rows, list) or not rows:
        raise UserError(f"{file} holds no list {name!r}: {remedy}.")
    for number, entry in enumerate(rows):
        if not isinstance(entry, dict):
            raise UserError(f"{name} number {number} of {file} is not an object: {REMEDY}.")
        for field in fields:
            if entry.get(field) is None:
                raise UserError(f"{name} number {number} of {file} has no {field!r}: {remedy}.")
    return Entries(file, name, rows)


def captions_in(content: Mapping[str, Any], file: Path) -> Captions:
    """Return the captions of a file in COCO's layout, in its order."""
    listed = entries(content, file, "annotations", ("image_id", "caption"))
    return worded(zip(listed.ids("image_id"), listed.texts("caption"), strict=True), file)


def photos(paths: Sequence[Path], file: Path) -> ImageSplit:
    """Return the photos that `file` names.

    Raises:
      UserError: Some are absent.
    """
    missing = [path for path in paths if not is_file(path)]
    if missing:
        raise UserError(
            f"{len(missing)} photos of {file} are absent, the first {missing[0]}: download them, "
            "or give the folder where they are."
        )
    names = tuple(str(path) for path in paths)
    return ImageSplit(np.arange(len(paths)), names, tuple(photo_file(path) for path in paths))


def file_and_folder(kind: str, where: str, what: str) -> tuple[Path, Path]:
    """Return the two paths of a string `kind:FILE.json,FOLDER`, whose folder holds `what`.

    Raises:
      UserError: It has one path alone, or the folder is absent.
    """
    file, comma, folder = where.partition(",")
    if not comma:
        raise UserError(f"'{kind}:{where}' needs two paths: {kind}:FILE.json,FOLDER.")
    root = local_path(folder)
    require_folder(root, what)
    return local_path(file), root


def require_folder(folder: Path, what: str) -> None:
    """Refuse a folder that is not there, before a large file is read that names what it holds.

    Raises:
      UserError: It is not a folder.
    """
    if not is_folder(folder):
        raise UserError(f"{shown(folder)} is not a folder: give the one that holds {what}.")


def require_there(files: Iterable[Path]) -> None:
    """Refuse files that are not there, before what lies beside them is read.

    Raises:
      UserError: It names the first.
    """
    for file in files:
        if not os.path.exists(file):
            raise UserError(f"{shown(file)} is missing: {REMEDY}.")


def require_once(ids: Sequence[int | str], what: str, file: Path) -> None:
    """Refuse ids that a file gives twice, for one of the two would be lost.

    Raises:
      UserError: It names the first.
    """
    seen: set[int | str] = set()
    for key in ids:
        if key in seen:
            raise UserError(f"{file} has the {what} {key} twice: {REMEDY}.")
        seen.add(key)


def _is_word(value: object) -> bool:
    return isinstance(value, str) and not value.strip().isdecimal()


def kind_of(content: Mapping[str, Any]) -> str:
    """Return what a file holds, by its first objects; empty if that is not known."""
    for name, field, kind in _KINDS:
        listed = content.get(name)
        first = listed[0] if isinstance(listed, list) and listed else None
        if isinstance(first, dict) and field in first:
            return kind
    return ""
