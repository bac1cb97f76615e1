"""What a page takes out of a run's folder, which may be a stranger's: the folder's own files."""

import io
import os
import stat
import warnings
from collections.abc import Iterator

from PIL import Image

from common.damage import DAMAGED
from common.paths import AnyPath, in_bucket

KINDS = {"PNG": "image/png", "JPEG": "image/jpeg"}
LARGEST_PICTURE = 2**24
"""Bytes of a picture's file."""

MOST_PIXELS = 10**8
MOST_PICTURES = 500
LARGEST_PAGE = 2**28
"""Bytes of all pictures of a page together."""


def read_own(folder: AnyPath, file: AnyPath, limit: int) -> bytes | None:
    """Read a regular file that lies in `folder`; None for anything else, such as a link.

    Args:
      folder: Where the file must lie, at whatever depth, without a link on the way.
      file: The file.
      limit: Larger files are not read.
    """
    if in_bucket(file):
        fits = file.is_file() and file.stat().length <= limit
        return file.read_bytes() if fits else None
    inside = file.relative_to(folder)
    if any((folder / parent).is_symlink() for parent in inside.parents if parent.name):
        return None
    try:
        # A FIFO would wait for a writer.
        opened = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        status = os.fstat(opened)
        if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
            return None
        with os.fdopen(opened, "rb", closefd=False) as stream:
            return stream.read(limit)
    except OSError:
        return None
    finally:
        os.close(opened)


class Pictures:
    """The pictures that one page takes from a folder, within its bounds.

    Attributes:
      folder: A run's.
      left: Names of the files that are not shown: links, files that are not pictures, too much.
    """

    def __init__(self, folder: AnyPath) -> None:
        self.folder = folder
        self.left: list[str] = []
        self._bytes, self._count = 0, 0

    def found(self, pattern: str) -> Iterator[tuple[AnyPath, str, bytes]]:
        """Yield (file, type, content) of those that fit a pattern, in the order of their names."""
        for file in sorted(self.folder.glob(pattern)):
            content = self._content(file)
            kind = content and picture_type(content)
            if not kind:
                self.left.append(str(file.relative_to(self.folder)))
                continue
            self._bytes, self._count = self._bytes + len(content), self._count + 1
            yield file, kind, content

    def _content(self, file: AnyPath) -> bytes | None:
        room = LARGEST_PAGE - self._bytes
        if self._count >= MOST_PICTURES:
            return None
        return read_own(self.folder, file, min(LARGEST_PICTURE, room))


def picture_type(content: bytes) -> str | None:
    """Return the media type of what really is a PNG or JPEG of a bearable size, else None."""
    try:
        with warnings.catch_warnings(action="ignore"):
            picture = Image.open(io.BytesIO(content), formats=list(KINDS))
        width, height = picture.size
    except (*DAMAGED, Image.DecompressionBombError):
        return None
    return KINDS[picture.format] if 0 < width * height <= MOST_PIXELS else None
