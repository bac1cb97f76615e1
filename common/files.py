"""Writing files so that nobody ever sees half of one, and JSON files with checks."""

import contextlib
import gzip
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common.errors import UserError
from common.paths import AnyPath, as_path, in_bucket

_PARTIAL = ".partial-"


@contextmanager
def atomic_write(path: AnyPath | str) -> Iterator[Path]:
    """Yields a temporary path beside `path`; a clean exit renames it onto `path`.

    The rename is atomic on one file system, so a reader finds the old file or the new one. What
    goes to a bucket is written to this machine's disk and sent as a whole, and the object is
    there when all of it has arrived. If the body raises, the temporary file is removed and
    `path` is left as it was.
    """
    path = as_path(path)
    if in_bucket(path):
        with tempfile.TemporaryDirectory() as folder:
            temporary = Path(folder) / path.name
            yield temporary
            path.write_bytes(temporary.read_bytes())
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.stem}{_PARTIAL}"
    handle, name = tempfile.mkstemp(prefix=prefix, suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files private; give the result the usual permissions instead.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_partial(directory: AnyPath, seconds: float = 0.0) -> None:
    """Removes what `atomic_write` left in `directory` and below when its program was killed.

    Args:
      directory: May be absent. In a bucket nothing is left.
      seconds: Only files that were not written to for so long; for folders of many writers.
    """
    if in_bucket(directory):
        return
    for path in directory.rglob(f".*{_PARTIAL}*"):
        with contextlib.suppress(FileNotFoundError):  # Another writer may be done by now.
            if time.time() - path.stat().st_mtime >= seconds:
                path.unlink()


COPY_AGAIN = "copy it again from where its folder came from"


def read_json(path: AnyPath, remedy: str = COPY_AGAIN) -> dict[str, Any]:
    """Reads a JSON object, gzipped where the name ends in `.gz`.

    Raises:
      UserError: The file is missing, damaged or holds something else; `remedy` ends the
        sentence.
    """
    content = _parsed(path, remedy)
    if not isinstance(content, dict):
        raise UserError(f"{str(path)!r} holds no JSON object: {remedy}.")
    return content


def read_strings(path: AnyPath, remedy: str = COPY_AGAIN) -> list[str]:
    """Reads a JSON list of strings; else as `read_json`.

    Raises:
      UserError: As `read_json`; an empty list is refused too.
    """
    content = _parsed(path, remedy)
    strings = isinstance(content, list) and all(isinstance(x, str) for x in content)
    if not strings or not content:
        raise UserError(f"{str(path)!r} holds no JSON list of strings: {remedy}.")
    return content


def _parsed(path: AnyPath, remedy: str) -> Any:
    try:
        raw = path.read_bytes()
        return json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)
    except FileNotFoundError:
        raise UserError(f"{str(path)!r} is missing: {remedy}.") from None
    except (OSError, EOFError, ValueError) as error:
        raise UserError(f"{str(path)!r} cannot be read as JSON ({error}): {remedy}.") from error


def write_json(path: AnyPath, content: Mapping[str, Any]) -> None:
    """Writes what `read_json` reads."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
