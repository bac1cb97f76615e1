"""A folder of photos for each class, with whatever other files it holds."""

from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from common.data.passed_over import CAPTION, PassedOver, merged
from common.data.places import entries, folders, is_file, is_folder
from common.errors import UserError
from common.names import require_file_name, told_apart
from common.photos.formats import suffixes, why_not
from common.text import counted

CAPTION_SUFFIX = ".txt"
"""That of the text beside a photo, which says what the photo shows."""


@dataclass(frozen=True)
class ClassPhotos:
    """The photos in one folder, in natural order, and what else is there."""

    paths: tuple[Path, ...]
    passed_over: tuple[PassedOver, ...]


def photos_in(folder: Path) -> ClassPhotos:
    """Look for the photos of one class.

    Raises:
      UserError: There are none; the message lists what the folder holds.
    """
    listed = entries(folder)
    paths = tuple(entry for entry in listed if is_photo(entry))
    taken = set(paths)
    captions = {photo.with_suffix(CAPTION_SUFFIX) for photo in paths}
    passed_over = merged(_other(entry, captions) for entry in listed if entry not in taken)
    if not paths:
        raise UserError(_without_photos(folder, listed, passed_over))
    return ClassPhotos(paths, passed_over)


def loose_files(folder: Path) -> tuple[PassedOver, ...]:
    """Return what lies beside the class folders."""
    return merged(_other(entry) for entry in entries(folder) if not is_folder(entry))


def class_folders(root: Path) -> dict[str, Path]:
    """Return the folders of classes by the classes' names.

    Raises:
      UserError: There are none, or two that differ in what nobody sees, or one whose name no
        file can have.
    """
    classes: dict[str, Path] = {}
    seen: dict[str, str] = {}
    for folder in folders(root):
        name = require_file_name(folder.name, f"the class folder in {root}")
        twin = seen.setdefault(told_apart(name), name)
        if twin != name:
            raise UserError(
                f"the class folders {twin!r} and {name!r} of {root} differ in capitals or accents' "
                "encoding alone: merge them, or rename one."
            )
        classes[name] = folder
    if classes:
        return classes
    loose = [entry for entry in entries(root) if is_photo(entry)]
    if loose:
        raise UserError(
            f"the data folder {root} holds {counted(len(loose), 'photo')} and no folders: put the "
            "photos of each class into a sub-folder that has the class's name."
        )
    raise UserError(f"the data folder {root} is empty: it needs one sub-folder per class.")


def is_photo(entry: Path) -> bool:
    """Return whether a path is a file that is called like a photo; never raises."""
    return entry.suffix.lower() in suffixes() and is_file(entry)


def _other(entry: Path, captions: Container[Path] = ()) -> PassedOver:
    suffix, many = entry.suffix.lower(), ""
    if is_folder(entry):
        what, many = "folder inside of a class's", "folders inside of a class's"
        reason = "photos lie in that of the class directly"
    elif not is_file(entry):
        what, many = "link, pipe or device", "links, pipes or devices"
        reason = "no file to read"
    elif entry in captions:
        what, reason = CAPTION, "text beside a photo, not asked for"
    elif suffix in suffixes():
        what, reason = "photo", "in no class's folder"
    else:
        what, reason = f"{suffix or 'suffixless'} file", why_not(suffix)
    return PassedOver(what, 1, f"{entry.parent.name}/{entry.name}", reason, many)


def _without_photos(folder: Path, listed: list[Path], passed_over: tuple[PassedOver, ...]) -> str:
    if any(is_photo(photo) for inner in listed if is_folder(inner) for photo in entries(inner)):
        return (
            f"the class folder {folder} holds folders and no photos, which lie one level deeper: "
            f"give {folder}, or move the photos up."
        )
    kinds = ", ".join(sorted(suffixes()))
    if passed_over:
        held = ", ".join(entry.counted for entry in passed_over)
        return f"the class folder {folder} holds no photos ({kinds}), but {held}: add photos."
    return f"the class folder {folder} holds no photos ({kinds}): add some or remove it."
