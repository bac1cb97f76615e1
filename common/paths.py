"""Where a run's files lie: in a folder of this machine, or in a bucket of Google Cloud Storage."""

import errno
import importlib.util
import logging
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common.damage import cause
from common.errors import UserError
from common.names import LONGEST_NAME
from common.text import shown

# etils would import TensorFlow where it finds one, as on Colab's image; gcsfs does the same.
os.environ.setdefault("EPATH_USE_TF", "false")

from etils import epath

AnyPath = Path | epath.Path
"""Of this machine, or of a bucket; the latter has no `**` in patterns and no permissions."""

BUCKET = "gs://"

_OF_FILES = (
    *(".bin", ".ckpt", ".npy", ".npz", ".pt", ".pth", ".safetensors", ".tar", ".zip"),
    *(".csv", ".html", ".json", ".jsonl", ".md", ".txt"),
    *(".jpeg", ".jpg", ".png"),
)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_NAME = re.compile(r"[a-z0-9][-._a-z0-9]{1,220}[a-z0-9]")  # of a bucket


def place_text(place: Any, what: str = "the path") -> str:
    """Return a string of a place that a program gives, perhaps as a path.

    Args:
      place: A text such as "pocket" or "folder:photos", or a `Path` of this text.
      what: What the caller calls it.

    Raises:
      UserError: It is something else.
    """
    if not isinstance(place, str | os.PathLike):
        raise UserError(f"{what} is of type {type(place).__name__}: give a text or a path.")
    return str(os.fspath(place))


def as_path(name: AnyPath | str) -> AnyPath:
    """Return the path of what a user names: `gs://BUCKET/FOLDER`, or a local one with ~ as home.

    Raises:
      UserError: It is some other URL, or names no bucket, or the package for buckets is absent;
        or no system has such a path.
    """
    text = place_text(name)
    if not text.startswith(BUCKET):
        if _SCHEME.match(text):
            raise UserError(f"{shown(text)} is not a folder: give a path, or gs://BUCKET/FOLDER.")
        return _on_this_machine(text)
    bucket, _, below = text.removeprefix(BUCKET).partition("/")
    if not _NAME.fullmatch(bucket):
        raise UserError(f"{shown(text)} names no bucket: give gs://BUCKET/FOLDER.")
    if ".." in below.split("/") or not below.isprintable():
        raise UserError(f"{shown(text)} is not a folder of a bucket: give gs://BUCKET/FOLDER.")
    if importlib.util.find_spec("gcsfs") is None:
        raise UserError(
            f"{text!r} lies in a bucket, which needs a package that is not installed: "
            "pip install gcsfs, or give a folder."
        )
    # It reports what it also raises, and each time that it tries once more.
    logging.getLogger("gcsfs").setLevel(logging.CRITICAL)
    return epath.Path(text)


def _on_this_machine(text: str) -> Path:
    if not text.strip():
        raise UserError("a path is empty: give the name of a file or a folder.")
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        user = text.partition("/")[0].removeprefix("~")
        sentence = f"{shown(text)}: there is no user {user!r} here; write ./~ for a name that"
        raise UserError(f"{sentence} begins so.") from None
    try:
        text.encode("utf-8")
        os.stat(path)
    except ValueError as error:  # A zero byte, or a name that is not UTF-8.
        raise UserError(f"{shown(text)} is not a path ({error}): give another.") from None
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            raise UserError(
                f"{shown(text)} is not a path ({error.strerror}): give another."
            ) from None
    return path


def as_output(name: AnyPath | str, flag: str, suffix: str = "") -> AnyPath:
    """Return the file that a command is to write; whether it can is known before time is spent.

    Args:
      name: As the user gave it.
      flag: What gave it, e.g. "--out", for the sentence.
      suffix: What its name must end in, if anything.

    Raises:
      UserError: No file can be written there. What is there already and is not a usual file, a
        folder or a device for instance, is left alone.
    """
    path = as_path(name)
    if in_bucket(path):
        require_bucket(path)
    else:
        _require_file_place(path, flag, name)
    if suffix and path.suffix.lower() != suffix:
        raise UserError(f"{flag}={name} must end in {suffix}.")
    return path


def _require_file_place(path: Path, flag: str, name: AnyPath | str) -> None:
    if os.fspath(name).endswith(("/", os.sep)) or path.name in ("", ".."):
        raise UserError(f"{flag}={name} is the name of a folder: give that of a file.")
    if os.path.isdir(path):
        raise UserError(f"{flag}={name} is a folder: give the name of a file.")
    if os.path.lexists(path) and not (os.path.isfile(path) or path.is_symlink()):
        raise UserError(f"{flag}={name} is not a usual file and is left alone: give another.")
    if (size := len(os.fsencode(path.name))) > LONGEST_NAME:
        raise UserError(f"{flag}={name}: a name of {size} bytes is too long: {LONGEST_NAME} fit.")
    require_writable(path.parent, flag, name)


def as_output_folder(name: AnyPath | str, flag: str, *, local: bool = False) -> AnyPath:
    """Return the folder that a command is to write into, there already or not; else as `as_output`.

    A new one may not be called as files are, such as x.safetensors.

    Args:
      name: As the user gave it.
      flag: What gave it.
      local: Whether it must be of this machine, not of a bucket.
    """
    path = as_path(name)
    if not in_bucket(path):
        require_writable(path, flag, name)
    elif local:
        raise UserError(f"{flag}={name} is in a bucket: name a folder of this machine.")
    else:
        require_bucket(path)
    if path.suffix.lower() in _OF_FILES and not path.is_dir():
        raise UserError(
            f"{flag}={name} is to be a folder and ends in {path.suffix} as files do: give the "
            "name of a folder."
        )
    return path


def require_writable(folder: Path, flag: str, name: AnyPath | str) -> None:
    """Require a folder that is there and writable, or can be made.

    Raises:
      UserError: A file is in its place or above it, or there is no permission. `flag` and
        `name` are what the user gave.
    """
    absolute = folder.absolute()
    nearest = next(path for path in (absolute, *absolute.parents) if os.path.lexists(path))
    if not os.path.isdir(nearest):
        what = "a file" if os.path.isfile(nearest) else "not a folder"
        raise UserError(f"{flag}={name} cannot be a folder: {nearest} is {what}.")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise UserError(f"{flag}={name} cannot be written: no permission for {nearest}.")


def in_bucket(path: AnyPath) -> bool:
    """Return whether `path` lies in a bucket: it is written whole and read whole."""
    return isinstance(path, epath.Path)


def within(folder: AnyPath, *names: str) -> AnyPath:
    """Return a path within a folder that strangers may have filled, such as `eval` in a run's.

    Raises:
      UserError: A link leads elsewhere, it is not followed; or something is there that is
        neither a file nor a folder, a pipe for instance.
    """
    path = folder
    for name in names:
        path = path / name
        require_plain(path)
    return path


def require_plain(path: AnyPath, *, below: bool = False) -> None:
    """Refuse a link and whatever else is neither a file nor a folder; `path` may be absent.

    Args:
      path: What a run is to write, in its folder.
      below: Whether everything in a folder has to be plain, too.

    Raises:
      UserError: It is something else.
    """
    if in_bucket(path):
        return
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if stat.S_ISLNK(mode):
        raise UserError(f"{path} is a link, which is not followed: remove it.")
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise UserError(f"{path} is neither a file nor a folder: remove it.")
    if below and stat.S_ISDIR(mode):
        for entry in sorted(path.iterdir()):
            require_plain(entry, below=True)


def require_bucket(path: AnyPath) -> None:
    """Require the bucket of a path that lies in one.

    Raises:
      UserError: There is none, or none for this user, or it cannot be reached.
    """
    if not in_bucket(path):
        return
    bucket = epath.Path(*path.parts[:3])  # "/", "gs" and its name
    try:
        exists = bucket.exists()
    except Exception as error:  # Without a key, a network, a right: each library has its own.
        raise UserError(
            f"{path} cannot be reached ({cause(error)}): log in with `gcloud auth "
            "application-default login`, or give a folder."
        ) from error
    if not exists:
        raise UserError(f"there is no bucket {bucket}, or none for you.")


@contextmanager
def on_disk(path: AnyPath) -> Iterator[Path]:
    """Yield `path` itself, or a local copy of an object, for what reads only disks."""
    if not in_bucket(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, *path.parts[2:])  # behind "/" and "gs"
        copy.parent.mkdir(parents=True)
        copy.write_bytes(path.read_bytes())
        yield copy
