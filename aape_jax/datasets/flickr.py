"""Flickr8k and Flickr30k in the layouts that they are shared in.

    flickr8k:FOLDER     the captions are Flickr8k.token.txt or captions.txt, and the parts
                        Flickr_8k.trainImages.txt and Flickr_8k.testImages.txt
    flickr30k:FOLDER    results_20130124.token, results.csv or captions.txt; train.txt and test.txt

The files and the photos may lie anywhere below FOLDER. Without lists of the parts the last images
are tested. Karpathy's splits of both are read as `karpathy:FILE.json,FOLDER`.
"""

import csv
import glob
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from aape_jax.datasets.captions_by_image import ByImage, held_out, require_apart
from aape_jax.datasets.coco_files import (
    REMEDY,
    Captioned,
    Parts,
    photos,
    require_folder,
    require_once,
)
from aape_jax.datasets.worded import worded
from common.data.passed_over import in_droppings
from common.data.places import local_path
from common.errors import UserError
from common.files import read_text
from common.names import LONGEST_NAME
from common.photos.formats import suffixes
from common.text import quoted


@dataclass(frozen=True)
class Layout:
    """Names of a data set's files.

    Attributes:
      captions: Files of captions, the first of which counts.
      images: Lists of the images of a part.
    """

    captions: tuple[str, ...]
    images: Mapping[str, str]


LAYOUTS = {
    "flickr8k": Layout(
        ("Flickr8k.token.txt", "captions.txt"),
        {"train": "Flickr_8k.trainImages.txt", "test": "Flickr_8k.testImages.txt"},
    ),
    "flickr30k": Layout(
        ("results_20130124.token", "results.csv", "captions.txt"),
        {"train": "train.txt", "test": "test.txt"},  # as Flickr30k Entities has them
    ),
}

# A line of Kaggle's Flickr30k lacks its second bar: "2199200615.jpg| 4   A dog runs ...".
_NUMBERED = re.compile(r"\s*(\d+)\s+(\S.*)")


class Told(NamedTuple):
    """A caption, and what counts it among those of its image; empty where a file does not."""

    image: str
    number: str
    caption: str


def open_flickr(kind: str, where: str) -> Parts:
    """Read the captions of both parts, and find their photos later.

    Args:
      kind: A key of `LAYOUTS`.
      where: The folder.

    Raises:
      UserError: A file is missing or damaged, or, later, a photo is absent.
    """
    folder, layout = local_path(where), LAYOUTS[kind]
    require_folder(folder, f"{kind}'s captions and photos")
    file = next(filter(None, (_find(folder, name) for name in layout.captions)), None)
    if file is None:
        raise UserError(f"{folder} holds none of {', '.join(layout.captions)}: {REMEDY}.")
    told = list(_read(file))
    numbered = [f"{x.image}#{x.number}" for x in told if x.number]
    require_once(numbered, "caption", file)
    lists = _lists(folder, layout)

    def read(part: str) -> Captioned:
        captions = worded(((x.image, x.caption) for x in told), file, tell=part == "test")
        images = _listed(lists, captions, part) or held_out([*captions], file, part)
        first = _find(folder, images[0])
        if first is None:
            raise UserError(
                f"{folder} holds no photo {quoted(images[0])}: unpack the photos there."
            )
        split = photos([first.parent / image for image in images], file)
        return split, tuple(captions.get(image, ()) for image in images)

    return read


def _lists(folder: Path, layout: Layout) -> dict[str, list[str]]:
    """Return what the lists of the parts name; nothing if there are no lists."""
    files = {part: _find(folder, name) for part, name in layout.images.items()}
    if not any(files.values()):
        return {}
    if missing := [layout.images[part] for part, file in files.items() if file is None]:
        raise UserError(f"{folder} holds no {missing[0]} beside the other list: {REMEDY}.")
    lists = {part: read_text(file, REMEDY).split() for part, file in files.items() if file}
    for name, images in lists.items():
        if not images:
            raise UserError(f"{files[name]} is empty: {REMEDY}.")
        require_once(images, "image", files[name])
    require_apart(lists["train"], lists["test"], folder)
    return lists


def _listed(lists: Mapping[str, Sequence[str]], captions: ByImage, part: str) -> list[str]:
    """Return the images that a part's list names, as the captions spell them."""
    names = lists.get(part, ())
    return [x if x in captions else f"{x.removesuffix('.jpg')}.jpg" for x in names]


def _find(folder: Path, name: str) -> Path | None:
    """Return the file of a name that lies highest, below a folder."""
    if Path(name).name != name or not 0 < len(os.fsencode(name)) <= LONGEST_NAME or "\0" in name:
        return None
    paths = folder.rglob(glob.escape(name))
    matches = (path for path in paths if not in_droppings(path.relative_to(folder)))
    return min(matches, key=lambda path: (len(path.parts), path), default=None)


def _read(file: Path) -> Iterator[Told]:
    """Yield the captions of a file of lines."""
    lines = [line.strip(" \r") for line in read_text(file, REMEDY).strip().split("\n")]
    if not any(lines):
        raise UserError(f"{file} is empty: {REMEDY}.")
    tabs, bars = "\t" in lines[0], "|" in lines[0]
    named = not tabs and not _is_photo(re.split("[,|]", lines[0])[0])
    start = 1 if named else 0  # Below the names of the columns.
    read = _tab if tabs else _bar if bars else _comma
    for number, line in enumerate(lines[start:], start + 1):
        told = read(line) if line else None
        if line and (told is None or not told.image):
            raise UserError(
                f"line {number} of {file} is {quoted(line, 60)}, which is not an image and a "
                f"caption: {REMEDY}."
            )
        if told:
            yield told


def _is_photo(name: str) -> bool:
    return Path(name.strip()).suffix.lower() in suffixes()


def _tab(line: str) -> Told | None:
    """Read `a.jpg#0`, a tab and the caption."""
    name, _, caption = line.partition("\t")
    image, mark, number = name.rpartition("#")
    return Told(image.strip(), number.strip(), caption.strip()) if mark else None


def _bar(line: str) -> Told | None:
    """Read `a.jpg| 0| the caption`."""
    image, bar, rest = line.partition("|")
    number, second, caption = rest.partition("|")
    if not second and (match := _NUMBERED.fullmatch(rest)):
        number, second, caption = match[1], "|", match[2]
    return Told(image.strip(), number.strip(), caption.strip()) if bar and second else None


def _comma(line: str) -> Told | None:
    """Read `a.jpg,the caption`, which is in quotes if it holds a comma."""
    try:
        image, *rest = next(csv.reader([line]))
    except csv.Error:
        return None
    return Told(image.strip(), "", ",".join(rest).strip()) if rest else None
