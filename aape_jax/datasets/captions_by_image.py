"""Captions by the names of their images: as one JSON file, and what other files hold so.

{"a.jpg": ["a caption", "another"], ...}
{"train": {"a.jpg": [...], ...}, "test": {...}}
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aape_jax.datasets.coco_files import (
    Captioned,
    Parts,
    file_and_folder,
    kind_of,
    photos,
)
from aape_jax.datasets.worded import worded
from common.data.folder import PARTS
from common.errors import UserError
from common.files import read_json
from common.progress import say
from common.text import quoted, some

ByImage = Mapping[str, tuple[str, ...]]

MOST = 1000
"""Images that are tested where a file has no split; as many as in Karpathy's of Flickr."""

_REMEDY = "write {image: [caption, ...]}, or this for each of train and test"


def open_by_image(where: str) -> Parts:
    """Read the captions of both parts, and find their photos later.

    Args:
      where: FILE.json,FOLDER.

    Raises:
      UserError: The file is missing, damaged or of another kind, or, later, a photo is absent.
    """
    file, root = file_and_folder("captions", where, "the photos")
    content = read_json(file, _REMEDY)
    if kind := kind_of(content):
        raise UserError(f"{file} is {kind}, not captions by image: {_REMEDY}.")

    def read(part: str) -> Captioned:
        captions = _part(content, file, part)
        return photos([root / image for image in captions], file), tuple(captions.values())

    return read


def held_out(images: Sequence[str], file: Path, part: str) -> Sequence[str]:
    """Return the images of a part where a file has no split: its last tenth is tested.

    Raises:
      UserError: There are too few.
    """
    count = min(MOST, -(-len(images) // 10))
    if len(images) < 2:
        raise UserError(f"{file} has captions of {len(images)} images: it needs two or more.")
    if part == "test":
        say(f"{file} has no split: its last {count} of {len(images)} images are tested on.")
    return images[-count:] if part == "test" else images[:-count]


def require_apart(train: Iterable[str], test: Iterable[str], file: Path) -> None:
    """Refuse images that are learned from and tested on.

    Raises:
      UserError: It names the first.
    """
    if both := sorted(set(train) & set(test)):
        raise UserError(
            f"{len(both)} images of {file} are in both train and test, the first "
            f"{quoted(both[0])}: leave each in one of them."
        )


def _part(content: Mapping[str, Any], file: Path, part: str) -> ByImage:
    if not content or not all(isinstance(listed, dict) for listed in content.values()):
        captions = worded(_rows(content, file), file, tell=part == "test")
        return {image: captions[image] for image in held_out([*captions], file, part)}
    parts = {
        name: content[key]
        for name, keys in PARTS.items()
        for key in content
        if key.lower() in keys and content[key]
    }
    test = "test" if "test" in parts else "val"
    if "train" not in parts or test not in parts:
        raise UserError(f"{file} has the parts {some(content)}, not train and test: {_REMEDY}.")
    require_apart(parts["train"], parts[test], file)
    return worded(_rows(parts[test if part == "test" else "train"], file), file)


def _rows(content: Mapping[str, Any], file: Path) -> Iterable[tuple[str, str]]:
    for image, value in content.items():
        listed = [value] if isinstance(value, str) else value
        if not isinstance(listed, list) or not all(isinstance(text, str) for text in listed):
            raise UserError(
                f"the captions of {quoted(image)} in {file} are {quoted(value, 60)}, not a list of "
                f"texts: {_REMEDY}."
            )
        yield from ((image, text) for text in listed or [""])
