"""Where a run's files lie: in a folder of this machine, or in a bucket of Google Cloud Storage."""

import importlib.util
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.errors import UserError

# etils would import TensorFlow where it finds one, as on Colab's image; gcsfs does the same.
os.environ.setdefault("EPATH_USE_TF", "false")

from etils import epath

AnyPath = Path | epath.Path
"""Of this machine, or of a bucket; the latter has no `**` in patterns and no permissions."""

BUCKET = "gs://"

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+://")


def as_path(name: AnyPath | str) -> AnyPath:
    """What a user names: `gs://BUCKET/FOLDER`, or a path of this machine, where ~ is the home.

    Raises:
      UserError: it is some other URL, or names no bucket, or the package for buckets is absent.
    """
    text = os.fspath(name)
    if not text.startswith(BUCKET):
        if _SCHEME.match(text):
            raise UserError(f"{text!r} is no folder: give a path, or gs://BUCKET/FOLDER.")
        return Path(text).expanduser()
    if not text.removeprefix(BUCKET).strip("/"):
        raise UserError(f"{text!r} names no bucket: give gs://BUCKET/FOLDER.")
    if importlib.util.find_spec("gcsfs") is None:
        raise UserError(
            f"{text!r} lies in a bucket, which needs a package that is not installed: "
            "pip install gcsfs, or give a folder."
        )
    # It reports what it also raises, and each time that it tries once more.
    logging.getLogger("gcsfs").setLevel(logging.CRITICAL)
    return epath.Path(text)


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
