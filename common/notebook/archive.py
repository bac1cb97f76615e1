"""Zips that others packed, unpacked beside what is there already; and zips of our own."""

import hashlib
import os
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path, PurePosixPath, PureWindowsPath

from common.damage import DAMAGED, cause
from common.data.checks import is_text
from common.data.passed_over import in_droppings
from common.data.places import is_file
from common.errors import UserError
from common.names import LONGEST_NAME, file_stem
from common.progress import say

LARGEST = 2**36
"""Bytes that an archive may hold, unpacked."""

_SHRINKS = 200  # Times that an archive may be smaller than what it holds; photos hardly shrink.
_SMALL = 2**26  # Bytes that are never too many.
_LONGEST_PART, _LONGEST_PATH = 255, 1000  # Bytes and letters that file systems bear.
_PASSWORD = 0x1  # Of a member's flags.
_MARK = ".unpacked-from"

Member = tuple[zipfile.ZipInfo, PurePosixPath]


def unpacked(archive: Path) -> Path:
    """Return a folder below the current one with what a zip holds.

    Nothing that is there already is changed: an archive that was unpacked before is not
    unpacked again, and another one of the same name gets a folder with a number.

    Raises:
      UserError: It is not a zip, or one that nobody should unpack.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = _members(archive, opened)
            content = _digest(members)
            for folder in _names(archive.stem):
                if not os.path.lexists(folder):
                    return _extracted(opened, members, folder, content)
                if _made_from(folder) == content:
                    return folder
    except zipfile.BadZipFile as error:
        raise UserError(f"{str(archive)!r} is not a zip ({cause(error)}): make it again.") from None
    except DAMAGED as error:
        raise UserError(
            f"{str(archive)!r} cannot be unpacked ({cause(error)}): make it again."
        ) from error
    raise AssertionError("There is always one more name.")


def packed(folder: Path) -> Path:
    """Return a new zip beside a folder with the files in it, without what links lead to."""
    archive = next(
        path
        for number in count(1)
        if not os.path.lexists(path := folder.with_name(f"{folder.name}{_numbered(number)}.zip"))
    )
    with zipfile.ZipFile(archive, "x", zipfile.ZIP_DEFLATED) as opened:
        for parent, _, names in os.walk(folder):
            for path in (Path(parent, name) for name in sorted(names)):
                if is_file(path) and not path.is_symlink():
                    opened.write(path, path.relative_to(folder))
    return archive


def _names(stem: str) -> Iterator[Path]:
    short = stem if len(os.fsencode(stem)) <= LONGEST_NAME else file_stem(stem)
    return (Path(f"{short}.unpacked{_numbered(number)}") for number in count(1))


def _numbered(number: int) -> str:
    return f"-{number}" if number > 1 else ""


def _members(archive: Path, opened: zipfile.ZipFile) -> list[Member]:
    """Return the files that are to be unpacked, and where.

    Raises:
      UserError: They are too large, locked, or cannot all lie in one folder.
    """
    by_path: dict[PurePosixPath, zipfile.ZipInfo] = {}
    outside, links = [], []
    for info in opened.infolist():
        path = PurePosixPath(info.filename.replace("\\", "/"))
        kind = stat.S_IFMT(info.external_attr >> 16)
        if path.is_absolute() or ".." in path.parts or PureWindowsPath(path).drive:
            outside.append(info.filename)
        elif not path.parts or in_droppings(path) or info.is_dir():
            continue
        elif kind not in (0, stat.S_IFREG):
            links.append(info.filename)
        else:
            _require_fit(archive, info, path)
            if path in by_path or by_path.keys() & set(path.parents):
                raise UserError(f"{str(archive)!r} holds {str(path)!r} twice: make it again.")
            by_path[path] = info
    for names, reason in ((outside, "leads out of the folder"), (links, "is not a file")):
        if names:
            say(f"Left out of {archive}: {len(names)} whose name or kind {reason}, e.g. {names[0]}")
    members = [(info, path) for path, info in by_path.items()]
    _require_small(archive, [info for info, _ in members])
    return members


def _require_fit(archive: Path, info: zipfile.ZipInfo, path: PurePosixPath) -> None:
    if info.flag_bits & _PASSWORD:
        raise UserError(f"{str(archive)!r} is locked with a password: make one without.")
    long = len(str(path)) > _LONGEST_PATH or any(
        not is_text(part) or len(part.encode()) > _LONGEST_PART for part in path.parts
    )
    if long:
        raise UserError(
            f"{str(archive)!r} holds a name that no file can have, {str(path)[:40]!r}…: rename it."
        )


def _require_small(archive: Path, infos: Sequence[zipfile.ZipInfo]) -> None:
    size = sum(info.file_size for info in infos)
    free = shutil.disk_usage(".").free
    if size > min(LARGEST, free):
        raise UserError(
            f"{str(archive)!r} unpacks to {size} bytes, but there is room for {min(LARGEST, free)}:"
            " take a smaller one, or make room."
        )
    if size > max(_SMALL, _SHRINKS * archive.stat().st_size):
        raise UserError(
            f"{str(archive)!r} unpacks to {size} bytes, {_SHRINKS} times its own size and more, "
            "which photos do not: give their folder instead."
        )


def _extracted(
    opened: zipfile.ZipFile, members: Sequence[Member], folder: Path, content: str
) -> Path:
    """Unpack aside first, so that half a folder is never taken for a whole one."""
    aside = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=folder.parent))
    try:
        for info, path in members:
            target = aside / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with opened.open(info) as source, target.open("xb") as file:
                shutil.copyfileobj(source, file)
                if file.tell() != info.file_size:
                    raise EOFError(f"{path} ends too early")
        (aside / _MARK).write_text(content, encoding="utf-8")
        aside.chmod(0o755)
        return aside.rename(folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _digest(members: Sequence[Member]) -> str:
    listed = sorted((str(path), info.CRC, info.file_size) for info, path in members)
    return hashlib.sha256(repr(listed).encode()).hexdigest()


def _made_from(folder: Path) -> str:
    """Return the digest of what was unpacked into a folder; empty for any other folder."""
    mark = folder / _MARK
    return mark.read_text(encoding="utf-8", errors="replace") if is_file(mark) else ""
