"""One run at a time in a folder: a second one is refused before it writes anything.

On a disk the system holds the lock (`flock`), and lets it go when the process ends, however it
ends. A bucket has no such thing: there an object is renewed every few seconds while the run goes
on, and one that is not renewed any more belongs to a run that was killed.
"""

import contextlib
import errno
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils

from common.errors import UserError
from common.paths import AnyPath, in_bucket, within
from common.progress import say
from common.text import printable

NAME = ".lock"
"""The file in a run's folder; it stays there and means nothing while nobody holds it."""

BEAT = 10.0
"""Seconds between two renewals of the object in a bucket."""

PATIENCE = 2.5 * BEAT
"""Seconds without a renewal after which a run in a bucket counts as killed."""

# What file systems say that cannot lock, network drives for instance.
_UNABLE = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)


class WorkdirInUseError(UserError):
    """Another process is training in the folder."""

    def __init__(self, workdir: AnyPath, owner: str) -> None:
        owner = printable(" ".join(owner.split())[:100]) or "another process"
        super().__init__(
            f"{workdir} is in use: {owner} is training in it. Wait for its end, or give a new "
            "--workdir."
        )


@contextlib.contextmanager
def locked(workdir: AnyPath, check: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Hold the folder of a run while the body goes on; of a cluster the first process does.

    Args:
      workdir: The run's folder; made if it is absent.
      check: Looks at the folder once more, and may refuse it, when nobody else changes it.

    Raises:
      UserError: Another run holds it, or what `check` raises; of a cluster in every process.
    """
    with contextlib.ExitStack() as stack:
        refused = None
        if jax.process_index() == 0:
            try:
                stack.enter_context(_in_bucket(workdir) if in_bucket(workdir) else _held(workdir))
                check()
            except UserError as error:
                refused = error
        if jax.process_count() > 1:
            refusals = multihost_utils.broadcast_one_to_all(np.int32(refused is not None))
            if int(refusals) and refused is None:
                refused = UserError(f"{workdir} is refused by the first process.")
        if refused is not None:
            raise refused
        yield


def require_free(workdir: AnyPath) -> None:
    """Refuse a folder that a run holds at this moment, before anything slow is begun.

    Nothing is written. In a bucket nothing is known at once, so there `locked` alone tells.

    Raises:
      WorkdirInUseError: Another run holds it.
    """
    if not in_bucket(workdir) and within(workdir, NAME).exists():
        os.close(_take(workdir, os.O_RDONLY))


@contextlib.contextmanager
def _held(workdir: Path) -> Iterator[None]:
    workdir.mkdir(parents=True, exist_ok=True)
    handle = _take(workdir, os.O_RDWR | os.O_CREAT)
    try:
        os.truncate(handle, 0)
        os.write(handle, f"{_me()}\n".encode())
        yield
        os.truncate(handle, 0)  # Folders of equal runs are equal.
    finally:
        os.close(handle)


def _take(workdir: Path, how: int) -> int:
    """Open the file of the lock and lock it; whoever closes it lets the lock go."""
    import fcntl  # Only systems of Unix's kind have it.

    handle = os.open(within(workdir, NAME), how | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(handle, 200).decode("utf-8", "replace")
        os.close(handle)
        raise WorkdirInUseError(workdir, owner) from None
    except OSError as error:
        if error.errno not in _UNABLE:
            os.close(handle)
            raise
        say(f"{workdir} cannot be locked ({error.strerror}): let no other run train in it.")
    return handle


@contextlib.contextmanager
def _in_bucket(workdir: AnyPath) -> Iterator[None]:
    path, token = workdir / NAME, secrets.token_hex(8)
    if (seen := _read(path)) is not None:
        said = f"waiting {PATIENCE:.0f} s to see whether {_owner(seen)} still trains in it"
        say(f"{workdir}: {said}…")
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            time.sleep(BEAT / 10)
            now = _read(path)
            if now is None:
                break
            if now != seen:
                raise WorkdirInUseError(workdir, _owner(now))
    _write(path, token, 0)
    time.sleep(BEAT / 10)
    # Of two that begin at one moment the last to write has the folder, and the other sees that.
    if (now := _read(path)) is None or json.loads(now).get("run") != token:
        raise WorkdirInUseError(workdir, _owner(now))
    ended = threading.Event()

    def renew() -> None:
        count = 0
        while not ended.wait(BEAT):
            count += 1
            with contextlib.suppress(Exception):  # A network that fails for a moment.
                _write(path, token, count)

    thread = threading.Thread(target=renew, name="lock", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        with contextlib.suppress(Exception):
            path.unlink()


def _write(path: AnyPath, run: str, count: int) -> None:
    path.write_text(json.dumps({"run": run, "owner": _me(), "count": count}))


def _read(path: AnyPath) -> str | None:
    """Return what the object says at this moment; None where there is none."""
    from gcsfs import GCSFileSystem

    for filesystem in GCSFileSystem._cache.values():  # It remembers what it saw.
        filesystem.invalidate_cache()
    try:
        return path.read_text()
    except FileNotFoundError:
        return None


def _owner(text: str | None) -> str:
    try:
        return str(json.loads(text or "")["owner"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""


def _me() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"
