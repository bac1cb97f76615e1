"""The shapes and fills of the pocket world as functions of the plane.

Object coordinates: the centre is the origin, y points down, a shape fills about the unit
disc. A level function is negative inside its shape and grows roughly like the distance to
the outline, so that rims and outlines are level bands.
"""

from collections.abc import Callable

import numpy as np

Plane = np.ndarray  # [n, n] float32
Level = Callable[[Plane, Plane], Plane]


def _box(x: Plane, y: Plane, half_width: float, half_height: float) -> Plane:
    return np.maximum(np.abs(x) - half_width, np.abs(y) - half_height)


def _disc(x: Plane, y: Plane, radius: float) -> Plane:
    return np.sqrt(x * x + y * y) - radius


def _star(x: Plane, y: Plane) -> Plane:
    sector = np.pi / 5
    angle = np.arctan2(x, -y)
    folded = np.abs((angle + sector) % (2 * sector) - sector)
    radius = np.sqrt(x * x + y * y)
    # One edge of the folded star runs from the tip (0, 1) to the notch at `sector`.
    notch = 0.5
    edge = np.array([notch * np.sin(sector), notch * np.cos(sector) - 1.0])
    normal = np.array([-edge[1], edge[0]]) / np.hypot(*edge)
    return radius * (np.sin(folded) * normal[0] + np.cos(folded) * normal[1]) - normal[1]


def _heart(x: Plane, y: Plane) -> Plane:
    lobes = _disc(np.abs(x) - 0.43, y + 0.3, 0.5)
    point = np.maximum(0.74 * np.abs(x) + 0.67 * y - 0.61, -y - 0.3)
    return np.minimum(lobes, point)


def _drop(x: Plane, y: Plane) -> Plane:
    tip = np.maximum(0.879 * np.abs(x) - 0.477 * (y + 1.0), y)
    return np.minimum(tip, _disc(x, y - 0.3, 0.62))


def _flower(x: Plane, y: Plane) -> Plane:
    petals = 0.72 + 0.24 * np.cos(5 * np.arctan2(x, -y))
    return np.sqrt(x * x + y * y) - petals


def _fish(x: Plane, y: Plane) -> Plane:
    body = np.sqrt(((x + 0.2) / 0.78) ** 2 + (y / 0.56) ** 2) * 0.62 - 0.62
    tail = np.maximum(np.abs(y) - 0.9 * (x - 0.25), x - 0.95)
    return np.minimum(body, tail)


SHAPES: dict[str, Level] = {
    "circle": lambda x, y: _disc(x, y, 0.92),
    "square": lambda x, y: _box(x, y, 0.78, 0.78),
    "triangle": lambda x, y: np.maximum(0.866 * np.abs(x) - 0.5 * y - 0.45, y - 0.62),
    "diamond": lambda x, y: (np.abs(x) * 1.35 + np.abs(y) - 1.0) * 0.6,
    "cross": lambda x, y: np.minimum(_box(x, y, 0.34, 0.95), _box(x, y, 0.95, 0.34)),
    "star": _star,
    "heart": _heart,
    "crescent": lambda x, y: np.maximum(_disc(x, y, 0.95), -_disc(x - 0.55, y, 0.68)),
    "drop": _drop,
    "flower": _flower,
    "arrow": lambda x, y: np.minimum(
        np.maximum(0.75 * np.abs(x) - 0.66 * (y + 0.95), y - 0.05), _box(x, y - 0.4, 0.32, 0.55)
    ),
    "fish": _fish,
}


def _folded(v: Plane) -> Plane:
    return (v + 0.3) % 0.6 - 0.3


def _dots(x: Plane, y: Plane) -> Plane:
    return _folded(x) ** 2 + _folded(y) ** 2 < 0.19**2


# Where the mark colour goes; `level` is the shape's own level function on the same points.
# None changes under a mirror, so that mirrored photos stay photos of their class.
FILLS: dict[str, Callable[[Plane, Plane, Plane], Plane]] = {
    "striped": lambda x, y, level: (y + 0.14) % 0.66 < 0.28,
    "dotted": lambda x, y, level: _dots(x, y),
    "banded": lambda x, y, level: np.abs(x) < 0.26,
    "halved": lambda x, y, level: y > 0.1,
    "rimmed": lambda x, y, level: level > -0.32,
    "cored": lambda x, y, level: x * x + y * y < 0.36**2,
}
