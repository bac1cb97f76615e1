"""Reading npz files that may be damaged or not ours."""

import zipfile
import zlib
from pathlib import Path

import numpy as np


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Reads all arrays of an npz file, checksums included, and runs no code from it.

    Raises:
      ValueError: The file is absent, damaged, no npz, or holds Python objects.
    """
    try:
        # Opened here, because np.load leaves the file open when the archive is damaged.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return dict(archive)
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(str(error)) from error
    except TypeError as error:
        raise ValueError("it holds a single array") from error
