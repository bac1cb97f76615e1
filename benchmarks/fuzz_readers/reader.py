"""What every reader of `benchmarks.fuzz` has, and files that several of them write."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

MODELS = Path(__file__).parents[2] / "common/pocket/models"


@dataclass(frozen=True)
class Reader:
    """One reader of outside files.

    Attributes:
      make: Writes sound files into a folder.
      read: Reads them; ends well or in a `UserError`.
      files: Which of them are damaged, as a pattern.
    """

    make: Callable[[Path], None]
    read: Callable[[Path], Any]
    files: str = "**/*"


def write(path: Path, content: Any) -> None:
    """Write JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def picture(path: Path, number: int = 0, **options: Any) -> None:
    """Write a small picture in the format of its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), (40 * number % 256, 90, 20)).save(path, **options)


def copied(*names: str) -> Callable[[Path], None]:
    """Return what copies files of the pocket models."""

    def make(folder: Path) -> None:
        for name in names:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (MODELS / name).is_dir() else shutil.copy
            copy(MODELS / name, target)

    return make
