"""Writing files so that nobody ever sees half of one, and reading them with checks."""

import contextlib
import errno
import gzip
import io
import os
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common import strict_json
from common.damage import DAMAGED, cause
from common.errors import PLACE, UserError
from common.paths import AnyPath, as_path, in_bucket
from common.records import Record
from common.text import shown

COPY_AGAIN = "copy it again from where its folder came from"
LARGEST = 2**30
"""Bytes that a file which is read as a whole may have, gunzipped too."""

_PARTIAL = ".partial-"
_LFS = b"version https://git-lfs.github.com/spec/"
# What the system says of a place where no file can be.
_NO_PLACE = (*PLACE, errno.EEXIST, errno.EINVAL, errno.EILSEQ)


@contextmanager
def atomic_write(path: AnyPath | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; a clean exit renames it onto `path`.

    The rename is atomic on one file system, so a reader finds the old file or the new one. What
    goes to a bucket is written to this machine's disk and sent as a whole, and the object is
    there when all of it has arrived. If the body raises, the temporary file is removed and
    `path` is left as it was. A link at `path` is replaced, never followed.

    Raises:
      UserError: No file can be at `path`.
    """
    path = as_path(path) if isinstance(path, str) else path
    if in_bucket(path):
        with tempfile.TemporaryDirectory() as folder:
            temporary = Path(folder) / path.name
            yield temporary
            path.write_bytes(temporary.read_bytes())
        return
    temporary = _beside(path)
    try:
        yield temporary
        # mkstemp makes files private; give the result the usual permissions instead.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    """Make an empty file in the folder of `path`, which is made if absent."""
    try:
        if path.is_dir() and not path.is_symlink():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        path.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{path.stem}{_PARTIAL}"
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=path.suffix, dir=path.parent)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_PLACE:
            raise
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"{shown(path)} cannot be written ({reason}): give the name of a file in a folder "
            "of your own."
        ) from error
    os.close(handle)
    return Path(name)


def remove_partial(directory: AnyPath, seconds: float = 0.0) -> None:
    """Remove what `atomic_write` left in `directory` and below when its program was killed.

    Args:
      directory: May be absent. In a bucket nothing is left.
      seconds: Only files that were not written to for so long; for folders of many writers.
    """
    if in_bucket(directory):
        return
    for path in directory.rglob(f".*{_PARTIAL}*"):
        with contextlib.suppress(FileNotFoundError):  # Another writer may be done by now.
            if time.time() - path.lstat().st_mtime >= seconds:
                path.unlink()


def read_bytes(path: AnyPath, remedy: str = COPY_AGAIN, limit: int = LARGEST) -> bytes:
    """Read a whole file.

    Raises:
      UserError: The file is missing, not a regular one, larger than `limit` bytes, a pointer of
        Git-LFS, or cannot be read; `remedy` ends the sentence.
    """
    require_file(path, remedy, limit)
    try:
        content = path.read_bytes()
    except DAMAGED as error:
        raise UserError(f"{shown(path)} cannot be read ({cause(error)}): {remedy}.") from error
    require_no_pointer(path, content)
    return content


def read_text(path: AnyPath, remedy: str = COPY_AGAIN, limit: int = LARGEST) -> str:
    """Read text in UTF-8, gzipped where the name ends in `.gz`; else as `read_bytes`."""
    content = read_bytes(path, remedy, limit)
    if path.suffix == ".gz":
        content = _gunzipped(path, content, remedy, limit)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{shown(path)} is not text in UTF-8 ({cause(error)}): {remedy}."
        ) from error


def read_json(
    path: AnyPath,
    remedy: str = COPY_AGAIN,
    limit: int = LARGEST,
    repeated: list[str] | None = None,
    *,
    constants: bool = False,
) -> dict[str, Any]:
    """Read a JSON object, gzipped where the name ends in `.gz`.

    Args:
      path: The file.
      remedy: Ends the sentence of an error.
      limit: Bytes that it may have, unpacked too.
      repeated: As of `strict_json.parse`, which refuses a key that is there twice without it.
      constants: As of `strict_json.parse`, which refuses NaN and Infinity without it.

    Raises:
      UserError: As `read_text`; or the file is damaged, against the rules of `strict_json`, or
        holds something else.
    """
    content = _parsed(path, remedy, limit, repeated, constants)
    if not isinstance(content, dict):
        raise UserError(f"{shown(path)} holds no JSON object: {remedy}.")
    return content


def read_record(path: AnyPath, remedy: str = COPY_AGAIN, limit: int = LARGEST) -> Record:
    """Read a JSON object whose fields are then asked for by type; else as `read_json`."""
    return Record(read_json(path, remedy, limit), shown(path), remedy)


def read_list(path: AnyPath, remedy: str = COPY_AGAIN, limit: int = LARGEST) -> list[Any]:
    """Read a JSON list; else as `read_json`."""
    content = _parsed(path, remedy, limit)
    if not isinstance(content, list):
        raise UserError(f"{shown(path)} holds no JSON list: {remedy}.")
    return content


def read_strings(path: AnyPath, remedy: str = COPY_AGAIN, limit: int = LARGEST) -> list[str]:
    """Read a JSON list of strings; else as `read_json`.

    Raises:
      UserError: As `read_json`; an empty list is refused too.
    """
    content = _parsed(path, remedy, limit)
    strings = isinstance(content, list) and all(isinstance(x, str) for x in content)
    if not strings or not content:
        raise UserError(f"{shown(path)} holds no JSON list of strings: {remedy}.")
    return content


def write_json(path: AnyPath, content: Mapping[str, Any]) -> None:
    """Write what `read_json` reads, with null for numbers that are not finite."""
    with atomic_write(path) as temporary:
        temporary.write_text(strict_json.dump(content, indent=2) + "\n", encoding="utf-8")


def require_file(path: AnyPath, remedy: str = COPY_AGAIN, limit: int | None = None) -> None:
    """Check that a path is a regular file, so that reading it comes to an end.

    Raises:
      UserError: It is missing, a folder, a pipe or a device, or larger than `limit` bytes.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{shown(path)} is missing: {remedy}.") from None
    except DAMAGED as error:
        raise UserError(f"{shown(path)} cannot be read ({cause(error)}): {remedy}.") from error
    if in_bucket(path):
        regular, size = not status.is_directory, status.length
    else:
        regular, size = stat.S_ISREG(status.st_mode), status.st_size
    if not regular:
        raise UserError(f"{shown(path)} is a folder, a pipe or a device, not a file: {remedy}.")
    if limit is not None and size > limit:
        raise UserError(f"{shown(path)} is larger than {limit} bytes: {remedy}.")


def require_no_pointer(path: AnyPath, start: bytes) -> None:
    """Check by its first bytes that a file is not what Git-LFS leaves in place of a large one.

    Raises:
      UserError: The file is a Git-LFS pointer.
    """
    if start.startswith(_LFS):
        raise UserError(
            f"{shown(path)} is a Git-LFS pointer, not the file itself: run `git lfs pull` in the "
            "repository that it came from, or download the file."
        )


def _parsed(
    path: AnyPath,
    remedy: str,
    limit: int,
    repeated: list[str] | None = None,
    constants: bool = False,
) -> Any:
    text = read_text(path, remedy, limit)
    try:
        return strict_json.parse(text, repeated, constants=constants)
    except DAMAGED as error:
        raise UserError(
            f"{shown(path)} cannot be read as JSON ({cause(error)}): {remedy}."
        ) from error


def _gunzipped(path: AnyPath, content: bytes, remedy: str, limit: int) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            unpacked = file.read(limit + 1)
    except DAMAGED as error:
        raise UserError(f"{shown(path)} cannot be unpacked ({cause(error)}): {remedy}.") from error
    if len(unpacked) > limit:
        raise UserError(f"{shown(path)} unpacks to more than {limit} bytes: {remedy}.")
    return unpacked
