"""Photos without classes: files, folders of them at any depth, and lists of paths."""

import sys
from collections.abc import Sequence
from pathlib import Path

from common.data.class_folders import is_photo
from common.data.places import entries, is_file, is_folder, local_path
from common.errors import UserError
from common.files import read_text
from common.photos.formats import suffixes
from common.text import shown

STANDARD_INPUT = "-"
_FLAG = "--images"  # of the commands that take them


def loose_photos(sources: Sequence[str]) -> tuple[Path, ...]:
    """Return the photos that all sources name, in order.

    Args:
      sources: Each is a photo, a folder with photos at any depth, a `.txt` file with a path on
        each line, or `-` for such lines on the standard input.

    Raises:
      UserError: A source is not there, or holds no photos.
    """
    paths = tuple(path for source in sources for path in _photos(source))
    if not paths:
        raise UserError(f"{_FLAG} names no photos: give files, folders or lists of paths.")
    return paths


def _photos(source: str) -> list[Path]:
    if source == STANDARD_INPUT:
        return _listed(sys.stdin.read(), "the standard input")
    path = local_path(source)
    if is_folder(path):
        return _below(path) or _refuse(f"{shown(source)} holds no photos")
    if not is_file(path):
        _refuse(f"there is no file or folder {shown(source)}")
    if path.suffix.lower() == ".txt":
        return _listed(read_text(path), shown(source))
    return [path]


def _below(folder: Path, above: tuple[Path, ...] = ()) -> list[Path]:
    here, paths = folder.resolve(), []
    if here in above:  # A link leads back up.
        return []
    for entry in entries(folder):
        if is_folder(entry):
            paths += _below(entry, (*above, here))
        elif is_photo(entry):
            paths.append(entry)
    return paths


def _listed(text: str, name: str) -> list[Path]:
    paths = [local_path(line.strip()) for line in text.splitlines() if line.strip()]
    absent = [path for path in paths if not is_file(path)]
    if absent:
        _refuse(f"{name} lists {shown(str(absent[0]))}, which is not a file")
    return paths


def _refuse(fault: str) -> list[Path]:
    kinds = ", ".join(sorted(suffixes()))
    raise UserError(f"{_FLAG}: {fault}: give photos ({kinds}), folders of them, or lists of paths.")
