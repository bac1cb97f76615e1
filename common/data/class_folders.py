"""A folder of photos for each class, with whatever other files it holds."""

import unicodedata
from dataclasses import dataclass
from pathlib import Path

from common.data.passed_over import PassedOver, merged
from common.data.places import entries, folders, is_file, is_folder
from common.errors import UserError
from common.names import require_file_name
from common.photos.formats import suffixes, why_not


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
    passed_over = merged(_other(entry) for entry in listed if entry not in taken)
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
        twin = seen.setdefault(composed(name).casefold(), name)
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
            f"the data folder {root} holds {len(loose)} photos and no folders: put the photos of "
            "each class into a sub-folder that has the class's name."
        )
    raise UserError(f"the data folder {root} is empty: it needs one sub-folder per class.")


def composed(name: str) -> str:
    """Return a name as all systems spell it."""
    return unicodedata.normalize("NFC", name)


def is_photo(entry: Path) -> bool:
    """Return whether a path is a file that is called like a photo; never raises."""
    return entry.suffix.lower() in suffixes() and is_file(entry)


def _other(entry: Path) -> PassedOver:
    name, suffix = f"{entry.parent.name}/{entry.name}", entry.suffix.lower()
    if is_folder(entry):
        what, reason = "folders inside of a class's", "photos lie in it directly"
    elif not is_file(entry):
        what, reason = "links, pipes or devices", "not files that can be read"
    elif suffix in suffixes():
        what, reason = "photos", "in no class's folder"
    else:
        what, reason = f"{suffix or 'suffixless'} files", why_not(suffix)
    return PassedOver(what, 1, name, reason)


def _without_photos(folder: Path, listed: list[Path], passed_over: tuple[PassedOver, ...]) -> str:
    if any(is_photo(photo) for inner in listed if is_folder(inner) for photo in entries(inner)):
        return (
            f"the class folder {folder} holds folders and no photos, which lie one level deeper: "
            f"give {folder}, or move the photos up."
        )
    kinds = ", ".join(sorted(suffixes()))
    if passed_over:
        held = ", ".join(f"{entry.count} {entry.what} ({entry.reason})" for entry in passed_over)
        return f"the class folder {folder} holds no photos ({kinds}), but {held}: add photos."
    return f"the class folder {folder} holds no photos ({kinds}): add some or remove it."
