"""Files that grow while a run goes on, also where the run lies in a bucket."""

import os
import tempfile
import time
from pathlib import Path

from common.files import atomic_write
from common.paths import AnyPath, in_bucket, within

PAUSE = 10.0
"""Seconds between two sendings, of those that may wait; a bucket takes one a second."""


class GrowingFiles:
    """The folder of a run's growing files.

    An object in a bucket cannot grow. There the files lie on this machine's disk and are sent as
    a whole, now and then and before anything relies on them.

    Args:
      workdir: The run's folder.

    Attributes:
      folder: Where the files are.
    """

    def __init__(self, workdir: AnyPath) -> None:
        self._bucket = workdir if in_bucket(workdir) else None
        self._temporary = tempfile.TemporaryDirectory() if self._bucket else None
        self.folder = Path(self._temporary.name) if self._temporary else workdir
        self._sizes: dict[str, int] = {}
        self._sent = time.monotonic()

    def fetch(self, name: str) -> Path:
        """Return where the file `name` is, with what an earlier process of the run wrote."""
        path = within(self.folder, name)
        if self._bucket and (self._bucket / name).exists():
            path.write_bytes((self._bucket / name).read_bytes())
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666))
        if path.stat().st_nlink > 1:  # A copy by hard links; the other one must not grow.
            with atomic_write(path) as copy:
                copy.write_bytes(path.read_bytes())
        return path

    def due(self) -> bool:
        """Return whether `send` was last called long ago; never on a disk."""
        return self._bucket is not None and time.monotonic() - self._sent > PAUSE

    def send(self) -> None:
        """Bring to the bucket what has grown since; on a disk it is all there."""
        if self._bucket is None:
            return
        for path in sorted(self.folder.iterdir()):
            if (size := path.stat().st_size) != self._sizes.get(path.name):
                (self._bucket / path.name).write_bytes(path.read_bytes())
                self._sizes[path.name] = size
        self._sent = time.monotonic()

    def close(self) -> None:
        """Send what is left."""
        self.send()
        if self._temporary:
            self._temporary.cleanup()
