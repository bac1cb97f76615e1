"""Position embeddings on a grid of another size, as the libraries of the families make them.

Each rule is a matrix: row i holds the weights of the old cells along a side in the new cell i.
"""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float

Rule = Callable[[int, int], np.ndarray]

# PyTorch's cubic kernel is sharper where nothing is smoothed.
_SHARP, _SMOOTH = -0.75, -0.5


def bicubic(old: int, new: int) -> Float[np.ndarray, "n o"]:
    """Return the weights of PyTorch's bicubic interpolation without `align_corners`."""
    centres = (np.arange(new) + 0.5) * old / new - 0.5
    weights = np.zeros((new, old))
    for offset in range(-1, 3):
        cells = np.floor(centres) + offset
        # Beyond the border its own cell goes on.
        columns = np.clip(cells, 0, old - 1).astype(int)
        np.add.at(weights, (np.arange(new), columns), _cubic(centres - cells, _SHARP))
    return weights


def smoothed_bicubic(old: int, new: int) -> Float[np.ndarray, "n o"]:
    """Return the weights of PyTorch's bicubic interpolation with `antialias`, which is Pillow's."""
    scale = old / new
    stretch = max(scale, 1.0)
    centres = (np.arange(new)[:, None] + 0.5) * scale
    cells = np.arange(old)[None]
    first = np.maximum((centres - 2 * stretch + 0.5).astype(int), 0)
    last = np.minimum((centres + 2 * stretch + 0.5).astype(int), old)
    inside = (first <= cells) & (cells < last)
    weights = np.where(inside, _cubic((cells - centres + 0.5) / stretch, _SMOOTH), 0.0)
    return weights / weights.sum(axis=1, keepdims=True)


def corner_to_corner(old: int, new: int) -> Float[np.ndarray, "n o"]:
    """Return the weights of linear interpolation that keeps the corners, as SciPy's `zoom`."""
    centres = np.linspace(0, old - 1, new)
    return np.maximum(0, 1 - np.abs(centres[:, None] - np.arange(old)))


RULES: Mapping[str, Rule] = {
    "bicubic": bicubic,
    "smoothed_bicubic": smoothed_bicubic,
    "corner_to_corner": corner_to_corner,
}
"""By name, as families of models say it."""


def resample(
    table: Float[np.ndarray, "p d"], old: int, new: int, rule: str
) -> Float[np.ndarray, "q d"]:
    """Return position embeddings of another grid, in float32.

    Args:
      table: Those of the old grid, row by row; what precedes them, as a class token, stays.
      old: Cells along each side.
      new: Likewise, of the result.
      rule: A key of `RULES`.
    """
    table = np.asarray(table, np.float32)
    ahead = len(table) - old**2
    weights = RULES[rule](old, new)
    grid = table[ahead:].astype(np.float64).reshape(old, old, -1)
    grid = np.einsum("ri,cj,ijd->rcd", weights, weights, grid, optimize=True)
    made = grid.reshape(new**2, -1).astype(np.float32)
    return np.concatenate([table[:ahead], made])


def _cubic(x: np.ndarray, sharpness: float) -> np.ndarray:
    """Return Keys's kernel, which is zero from two cells on."""
    x, a = np.abs(x), sharpness
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * (x**3 - 5 * x**2 + 8 * x - 4)
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))
