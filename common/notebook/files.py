"""Files of the user's own: uploaded, on Google Drive or on the machine, and taken away again."""

from pathlib import Path

from common.data.places import entries, folders, is_folder, local_path
from common.data.sources import OPENERS
from common.errors import UserError
from common.notebook.archive import packed, unpacked
from common.notebook.runtime import in_colab, smoke

UPLOAD = "upload"
DRIVE = Path("/content/drive")

_DEEPEST = 8  # Folders in folders that an archive may begin with.


def local_file(source: str, prefix: str = "") -> str:
    """Return where a form field's file lies, behind `prefix`; an empty field gives an empty text.

    Args:
      source: A path, also on Google Drive, which is mounted if need be; or "upload".
      prefix: Such as "json:".

    Raises:
      UserError: There is no such file, or nothing to upload with.
    """
    if not source:
        return ""
    path = _uploaded() if source == UPLOAD else local_path(source)
    if in_colab() and path.is_relative_to(DRIVE) and not DRIVE.is_dir():
        from google.colab import drive

        drive.mount(str(DRIVE))
    if not path.exists():
        raise UserError(f"there is no {source!r}: give a path, or {UPLOAD!r} in Colab.")
    return f"{prefix}{path}"


def dataset(source: str, default: str = "") -> str:
    """Return the data set that a form field names.

    Args:
      source: A folder or a zip with one folder per class, found as by `local_file`; or a data
        set string such as "tfds:dtd"; or empty.
      default: What an empty field stands for.

    Raises:
      UserError: As `local_file`; or the zip is damaged.
    """
    if not source or source.partition(":")[0] in OPENERS:
        return source or default
    path = Path(local_file(source))
    if path.suffix.lower() == ".zip":
        path = unpacked(path)
    if not path.is_dir():
        raise UserError(f"{source!r} is neither a folder nor a zip: give one folder per class.")
    return f"folder:{_folder_of_classes(path)}"


def take_away(path: Path | str) -> Path:
    """Download a file, or a folder as a zip, where this is Colab; return the file.

    A zip that is there already stays; the new one gets a number.
    """
    path = Path(path)
    if path.is_dir():
        path = packed(path)
    if in_colab() and not smoke():
        from google.colab import files

        files.download(str(path))
    return path


def _uploaded() -> Path:
    if not in_colab():
        raise UserError(f"{UPLOAD!r} works in Colab only: give the path of a file.")
    from google.colab import files

    names = list(files.upload())
    if len(names) != 1:
        raise UserError(f"{len(names)} files were uploaded: choose one, e.g. a zip of folders.")
    return Path(names[0])


def _folder_of_classes(path: Path, depth: int = 0) -> Path:
    """Return `path`, or what it wraps: archives often hold one folder, and that the classes.

    A single folder of photos is a class.
    """
    inside = entries(path)
    if len(inside) == 1 and depth < _DEEPEST and is_folder(inside[0]) and folders(inside[0]):
        return _folder_of_classes(inside[0], depth + 1)
    return path
