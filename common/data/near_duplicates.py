"""Photos that show the same: copies in another size, format or cut by a hair, and mirrors.

Two photos count as near-duplicates if at most `NEAR` of their 128 bits differ: signs of the
differences between neighbouring cells of a small grey copy, across and down ("difference hash").
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Bool, Int
from PIL import Image, ImageOps

from common.photos.photo import Picture

NEAR = 6
"""Bits that may differ."""

_CELLS = 8
_BANDS = 8
"""More than `NEAR`, so that near-duplicates are alike in at least one band."""


def difference_hash(image: Image.Image) -> Bool[np.ndarray, "128"]:
    """Return whether each cell of the grey photo is darker than its neighbours."""
    grey = image.convert("L")
    wide = np.asarray(grey.resize((_CELLS + 1, _CELLS), Image.Resampling.BOX), int)
    tall = np.asarray(grey.resize((_CELLS, _CELLS + 1), Image.Resampling.BOX), int)
    return np.concatenate(
        [(np.diff(wide, axis=1) > 0).ravel(), (np.diff(tall, axis=0) > 0).ravel()]
    )


def duplicate_groups(pictures: Sequence[Picture]) -> Int[np.ndarray, "n"]:
    """Return a number for each picture, the same for near-duplicates and for chains of them.

    Raises:
      BrokenPicture: A picture cannot be read.
    """

    def hashes(picture: Picture) -> np.ndarray:
        image = picture.open()
        return np.stack([difference_hash(image), difference_hash(ImageOps.mirror(image))])

    with ThreadPoolExecutor() as pool:
        bits = np.array(list(pool.map(hashes, pictures)))
    parents = np.arange(len(pictures))
    for first, second in _near_pairs(bits[:, 0], bits[:, 1]):
        parents[_root(parents, second)] = _root(parents, first)
    return np.array([_root(parents, row) for row in range(len(pictures))])


def _near_pairs(
    plain: Bool[np.ndarray, "n 128"], mirrored: Bool[np.ndarray, "n 128"]
) -> Iterable[tuple[int, int]]:
    """Yield the pairs in which one picture is near the other or its mirror."""
    for other in (plain, mirrored):
        for band in range(_BANDS):
            columns = slice(band * 128 // _BANDS, (band + 1) * 128 // _BANDS)
            rows_of: dict[bytes, list[int]] = {}
            for row, bits in enumerate(np.packbits(plain[:, columns], axis=1)):
                rows_of.setdefault(bits.tobytes(), []).append(row)
            for row, bits in enumerate(np.packbits(other[:, columns], axis=1)):
                alike = np.array([x for x in rows_of.get(bits.tobytes(), ()) if x != row], int)
                differing = (plain[alike] != other[row]).sum(axis=1)
                yield from ((row, int(x)) for x in alike[differing <= NEAR])


def _root(parents: np.ndarray, row: int) -> int:
    while parents[row] != row:
        parents[row] = parents[parents[row]]
        row = int(parents[row])
    return row
