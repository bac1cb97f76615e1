"""Captions by the images that they belong to, without those that say nothing."""

from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import TypeVar

from common.progress import say

Image = TypeVar("Image", bound=Hashable)


def worded(
    rows: Iterable[tuple[Image, str]], file: Path, tell: bool = True
) -> dict[Image, tuple[str, ...]]:
    """Return the captions by image; those without a word are left out, and counted in a line.

    Args:
      rows: Images and captions, in the order of the file.
      file: Named in the line.
      tell: Whether the line is printed.
    """
    captions: dict[Image, list[str]] = {}
    empty = 0
    for image, caption in rows:
        told = captions.setdefault(image, [])
        if caption.strip():
            told.append(caption)
        empty += not caption.strip()
    if empty and tell:
        say(f"{empty} captions of {file} have no words and are left out.")
    return {image: tuple(told) for image, told in captions.items()}
