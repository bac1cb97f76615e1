"""Photos as callers hold them: PIL images, arrays and paths, mixed in one list."""

import functools
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from common.damage import DAMAGED, cause
from common.errors import UserError
from common.photos.broken import BrokenExamples, BrokenPicture
from common.photos.photo import (
    ArrayPhoto,
    EncodedPhoto,
    Picture,
    check_sides,
    read_photo,
    rgb,
    upright_rgb,
)

Photos = Any
"""A list of PIL images, uint8 arrays `[h, w, 3]` and paths; `pictures_of` refuses all else."""

_DECODING = threading.Lock()


@dataclass(frozen=True, eq=False)
class HeldPhoto:
    """A PIL image of the caller's, decoded yet or not.

    Attributes:
      name: What error messages call it.
      image: As the caller gave it.
      upright: Whether it is turned as its metadata say.
    """

    name: str
    image: Image.Image
    upright: bool = True

    def open(self) -> Image.Image:
        """Convert it as a photo in a file is converted; see `upright_rgb`.

        Raises:
          BrokenPicture: Its file is damaged, or nobody knows which value of its pixels is white.
        """
        try:
            check_sides(self.image.size)
            with _DECODING:  # One image may stand in a list twice, and Pillow decodes it in place.
                return upright_rgb(self.image) if self.upright else rgb(self.image)
        except (*DAMAGED, Image.DecompressionBombError) as error:
            raise BrokenPicture(self.name, cause(error)) from error

    def digest(self) -> bytes:
        """Return the SHA-256 of its size and pixels."""
        return ArrayPhoto(np.asarray(self.open())).digest()


def pictures_of(photos: Photos, what: str = "photos") -> tuple[Picture, ...]:
    """Return the pictures of a list, which are opened one at a time when they are needed.

    Args:
      photos: PIL images, uint8 arrays `[h, w, 3]` and paths, mixed as they come.
      what: What the caller calls the list.

    Raises:
      UserError: It is not a list, an entry is something else, or files are missing; the sentence
        says which.
    """
    if isinstance(photos, Image.Image | str | os.PathLike) or getattr(photos, "ndim", 4) < 4:
        raise UserError(f"{what} is a single picture or path, not a list: write [{what}].")
    try:
        if isinstance(photos, set | frozenset):
            raise TypeError  # Its order differs from run to run.
        entries = list(photos)
    except TypeError:
        raise UserError(
            f"{what} is of type {type(photos).__name__}, not a list: give PIL images, uint8 arrays "
            "[h, w, 3] or paths in a list."
        ) from None
    pictures = tuple(picture_of(entry, f"{what}[{place}]") for place, entry in enumerate(entries))
    absent = [
        BrokenPicture(picture.name, "there is no such file")
        for picture, entry in zip(pictures, entries, strict=True)
        if isinstance(picture, EncodedPhoto) and not os.path.exists(entry)
    ]
    if absent:
        raise BrokenExamples(absent)
    return pictures


def picture_of(entry: Any, name: str = "photo") -> Picture:
    """Return one picture, which is opened when it is needed.

    Args:
      entry: A PIL image, a uint8 array `[h, w, 3]` or a path.
      name: What the caller calls it.

    Raises:
      UserError: It is something else.
    """
    if isinstance(entry, Image.Image):
        return HeldPhoto(name, entry)
    if isinstance(entry, str | os.PathLike):
        path = Path(entry)
        return EncodedPhoto(f"{name} ({path})", functools.partial(read_photo, path))
    pixels = _array(entry)
    if pixels is None:
        raise UserError(
            f"{name} is of type {type(entry).__name__}: give a PIL image, a uint8 array [h, w, 3] "
            "or a path."
        )
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise UserError(
            f"{name} is an array of {pixels.dtype} with the shape {pixels.shape}: give uint8 "
            "[h, w, 3], red, green and blue from 0 to 255."
        )
    try:
        check_sides((pixels.shape[1], pixels.shape[0]))
    except ValueError as error:
        raise BrokenPicture(name, error) from None
    return ArrayPhoto(pixels)


def _array(entry: Any) -> np.ndarray | None:
    """Return an array that has values; those that JAX traces have none."""
    try:
        return np.asarray(entry) if hasattr(entry, "__array__") else None
    except TypeError:
        return None
