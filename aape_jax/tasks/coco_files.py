"""What COCO's and VQA's annotation files have in common: lists of objects, and photos by name."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.data import ImageSplit
from common.data.photos import photo_file
from common.errors import UserError
from common.files import read_json

Captions = dict[int, tuple[str, ...]]
"""Of each image, by its id."""


def entries(file: Path, name: str, fields: Sequence[str]) -> list[dict[str, Any]]:
    """The list `name` of a JSON file.

    Raises:
      UserError: the file is missing or damaged, or an object lacks one of `fields`.
    """
    found = read_json(file, "download it again").get(name)
    if not isinstance(found, list) or not found:
        raise UserError(f"{file} holds no list {name!r}: download it again.")
    for number, entry in enumerate(found):
        missing = [field for field in fields if field not in entry]
        if missing:
            raise UserError(
                f"{name} number {number} of {file} has no {missing[0]!r}: download it again."
            )
    return found


def read_captions(file: Path) -> Captions:
    """The captions of COCO's layout, in the order of the file."""
    found: dict[int, list[str]] = defaultdict(list)
    for entry in entries(file, "annotations", ("image_id", "caption")):
        found[entry["image_id"]].append(entry["caption"])
    return {image: tuple(own) for image, own in found.items()}


def photos(paths: Sequence[Path], file: Path) -> ImageSplit:
    """The photos that `file` names.

    Raises:
      UserError: some are absent.
    """
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise UserError(f"{len(missing)} photos of {file} are absent, the first {missing[0]}.")
    names = tuple(str(path) for path in paths)
    return ImageSplit(np.arange(len(paths)), names, tuple(photo_file(path) for path in paths))
