"""Where a run's files lie: in a folder of this machine, or in a bucket of Google Cloud Storage."""

import importlib.util
import logging
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.errors import UserError
from common.text import printable

# etils would import TensorFlow where it finds one, as on Colab's image; gcsfs does the same.
os.environ.setdefault("EPATH_USE_TF", "false")

from etils import epath

AnyPath = Path | epath.Path
"""Of this machine, or of a bucket; the latter has no `**` in patterns and no permissions."""

BUCKET = "gs://"

LONGEST_PART, LONGEST_PATH = 255, 4095
"""Bytes of a file's name and of a whole path, which file systems take at most."""

_SCHEME = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+)://(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_SHOWN = 80  # Letters of a name that an error quotes.


def as_path(name: AnyPath | str) -> AnyPath:
    """What a user names: `gs://BUCKET/FOLDER`, or a path of this machine, where ~ is the home.

    Raises:
      UserError: it is some other URL, or names no bucket, or the package for buckets is absent,
        or no file system takes such a path.
    """
    text = os.fspath(name)
    shown = repr(printable(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"))
    if "\0" in text:
        raise UserError(f"{shown} holds a zero byte, which no path may: give another.")
    url = _SCHEME.match(text)
    if not url:
        return _on_this_machine(text, shown)
    if f"{url['scheme'].lower()}://" != BUCKET:
        raise UserError(f"{shown} is no folder: give a path, or gs://BUCKET/FOLDER.")
    text = BUCKET + url["rest"]
    if not url["rest"].partition("/")[0]:
        raise UserError(f"{shown} names no bucket: give gs://BUCKET/FOLDER.")
    if importlib.util.find_spec("gcsfs") is None:
        raise UserError(
            f"{shown} lies in a bucket, which needs a package that is not installed: "
            "pip install gcsfs, or give a folder."
        )
    # It reports what it also raises, and each time that it tries once more.
    logging.getLogger("gcsfs").setLevel(logging.CRITICAL)
    return epath.Path(text)


def _on_this_machine(text: str, shown: str) -> Path:
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        user = text.partition("/")[0]
        raise UserError(f"{shown}: there is no home of {user!r} here; give a whole path.") from None
    try:
        sizes = [len(os.fsencode(part)) for part in (path, *path.parts)]
    except UnicodeEncodeError:
        raise UserError(f"{shown} is not UTF-8, as a path is: give another.") from None
    if sizes[0] > LONGEST_PATH or max(sizes[1:], default=0) > LONGEST_PART:
        raise UserError(
            f"{shown} is too long: names may have {LONGEST_PART} bytes, a path {LONGEST_PATH}; "
            "give a shorter one."
        )
    return path


def inside(workdir: AnyPath, *names: str) -> AnyPath:
    """Return the place of a file or a folder in a run's folder, for whoever writes there.

    A run's folder may come from others. What leads out of it (a symbolic link), or is neither a
    file nor a folder (a pipe, a device), is refused; the run's folder itself may be a link.

    Args:
      workdir: the run's folder.
      names: of folders below it and of the file.

    Raises:
      UserError: there is such a thing at the place or on the way to it.
    """
    path = workdir
    for name in names:
        path = path / name
        require_plain(path)
    return path


def require_plain(path: AnyPath, *, below: bool = False) -> None:
    """Refuse a symbolic link and whatever is neither a file nor a folder; it may be absent.

    Args:
      path: in a run's folder.
      below: whether everything in a folder has to be plain, too.

    Raises:
      UserError: it is something else.
    """
    if in_bucket(path):
        return
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if stat.S_ISLNK(mode):
        raise UserError(f"{path} is a symbolic link; a run writes through none: remove it.")
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise UserError(f"{path} is neither a file nor a folder: remove it.")
    if below and stat.S_ISDIR(mode):
        for each in sorted(path.iterdir()):
            require_plain(each, below=True)


def in_bucket(path: AnyPath) -> bool:
    """Whether `path` is no file system's: it is written whole and read whole."""
    return isinstance(path, epath.Path)


def require_bucket(path: AnyPath) -> None:
    """Asks for the bucket of a path that lies in one.

    Raises:
      UserError: there is none, or none for this user, or no way to it.
    """
    if not in_bucket(path):
        return
    bucket = epath.Path(*path.parts[:3])  # "/", "gs" and its name
    try:
        found = bucket.exists()
    except Exception as error:  # Without a key, a network, a right: each library has its own.
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(
            f"{path} cannot be reached ({reason:.200}): log in with `gcloud auth "
            "application-default login`, or give a folder."
        ) from error
    if not found:
        raise UserError(f"there is no bucket {bucket}, or none for you.")


@contextmanager
def on_disk(path: AnyPath) -> Iterator[Path]:
    """`path` itself, or a copy of an object on this machine's disk, for what reads disks alone."""
    if not in_bucket(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, *path.parts[2:])  # behind "/" and "gs"
        copy.parent.mkdir(parents=True)
        copy.write_bytes(path.read_bytes())
        yield copy
