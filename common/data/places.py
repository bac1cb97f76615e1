"""Paths that data set strings name, and what lies there."""

import os
import stat
from pathlib import Path

from common.data.checks import is_text
from common.data.passed_over import is_dropping
from common.errors import UserError
from common.names import natural_key
from common.paths import as_path, in_bucket
from common.text import shown


def local_path(where: str) -> Path:
    """Return the path of this machine that a string names; nothing need be there.

    Raises:
      UserError: It lies in a bucket, or nothing can have this path.
    """
    path = as_path(where)
    if in_bucket(path):
        raise UserError(f"{shown(where)} lies in a bucket: copy the data to this machine's disk.")
    return path


def entries(folder: Path) -> list[Path]:
    """Return what lies in a folder in natural order, without the machines' own files.

    Raises:
      UserError: The folder cannot be read, or a name in it is not text.
    """
    try:
        listed = [entry for entry in folder.iterdir() if not is_dropping(entry.name)]
    except OSError as error:
        raise UserError(
            f"the folder {folder} cannot be read ({error.strerror}): give one that you may read."
        ) from None
    for entry in listed:
        if not is_text(entry.name):
            raise UserError(f"the name {entry.name!a} in {folder} is not UTF-8: rename it.")
    return sorted(listed, key=lambda entry: natural_key(entry.name))


def folders(folder: Path) -> list[Path]:
    """Return the folders among the `entries` of a folder."""
    return [entry for entry in entries(folder) if is_folder(entry)]


def is_file(path: Path | str) -> bool:
    """Return whether a path is a file that can be read to its end; never raises."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def is_folder(path: Path | str) -> bool:
    """Return whether a path is a folder; never raises."""
    return os.path.isdir(path)
