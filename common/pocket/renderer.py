"""Scenes as 32x32 pictures, supersampled three times: `shapes` on backgrounds in styles."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, UInt8

from common.pocket.shapes import FILLS, SHAPES, Plane
from common.pocket.world import Scene

SIZE = 32
_SUPER = 3
_OUTLINE = 0.14

RGB = {
    "red": (0.88, 0.13, 0.15),
    "orange": (1.00, 0.55, 0.08),
    "yellow": (0.98, 0.90, 0.20),
    "green": (0.12, 0.62, 0.22),
    "blue": (0.15, 0.32, 0.90),
    "purple": (0.58, 0.18, 0.72),
    "white": (0.97, 0.97, 0.97),
    "black": (0.08, 0.08, 0.10),
}


def _grid(n: int) -> tuple[Plane, Plane]:
    steps = ((np.arange(n, dtype=np.float32) + 0.5) / n) * 2 - 1
    x, y = np.meshgrid(steps, steps)
    return x, y


_FINE = _grid(SIZE * _SUPER)
_COARSE = _grid(SIZE)


def _noise(generator: np.random.Generator, cells: int) -> Plane:
    """Draw random blotches in [0, 1], `cells` of them a side."""
    repeats = SIZE // cells
    return np.repeat(np.repeat(generator.random((cells, cells)), repeats, 0), repeats, 1)


def _mix(low: tuple, high: tuple, weight: Plane) -> Plane:
    weight = np.clip(weight, 0, 1)[..., None]
    return np.asarray(low) * (1 - weight) + np.asarray(high) * weight


def _bricks(x: Plane, y: Plane, shift: float) -> Plane:
    row = np.floor((y + 1) / 0.5)
    joint = ((x + shift + 0.4 * (row % 2)) % 0.8 < 0.125) | ((y + 1) % 0.5 < 0.125)
    return joint.astype(np.float32)


# Each takes coarse x, y and a generator and returns an RGB picture.
BACKGROUNDS: dict[str, Callable[[Plane, Plane, np.random.Generator], Plane]] = {
    "grass": lambda x, y, g: _mix((0.27, 0.50, 0.17), (0.47, 0.70, 0.28), _noise(g, 16)),
    "sand": lambda x, y, g: _mix((0.80, 0.70, 0.48), (0.90, 0.82, 0.62), _noise(g, 16)),
    "water": lambda x, y, g: _mix(
        (0.25, 0.55, 0.75),
        (0.60, 0.85, 0.95),
        0.5 + 0.5 * np.sin(9 * y + np.sin(3 * x + 6.3 * g.random()) + 6.3 * g.random()),
    ),
    "snow": lambda x, y, g: _mix((0.82, 0.87, 0.95), (0.95, 0.97, 1.00), _noise(g, 8)),
    "wood": lambda x, y, g: _mix(
        (0.36, 0.22, 0.11), (0.58, 0.38, 0.20), 0.5 + 0.5 * np.sin(11 * x + 6.3 * g.random())
    ),
    "brick": lambda x, y, g: _mix(
        (0.62, 0.30, 0.24), (0.80, 0.74, 0.68), _bricks(x, y, g.random())
    ),
    "stone": lambda x, y, g: _mix((0.45, 0.46, 0.47), (0.63, 0.63, 0.63), _noise(g, 8)),
    "carpet": lambda x, y, g: _mix(
        (0.92, 0.62, 0.74), (0.80, 0.45, 0.62), np.sin(12 * x) * np.sin(12 * y) > 0.2
    ),
}

# Picture coordinates run from -1 to 1. Only a single object comes in sizes.
_CENTRES = {
    "single": ((0.0, 0.0),),
    "pair": ((-0.47, 0.0), (0.47, 0.0)),
    "row": ((-0.64, 0.0), (0.0, 0.0), (0.64, 0.0)),
}
_SINGLE_RADII = {"small": 0.5, "medium": 0.64, "large": 0.84}
_GROUP_RADII = {"pair": 0.44, "row": 0.32}
_EXPOSURES = {"dark": 0.62, "plain": 1.0, "bright": 1.22}


def render(scenes: Sequence[Scene]) -> UInt8[np.ndarray, "b h w 3"]:
    """Draw every scene; the same scene always gives the same picture (h = w = 32)."""
    if not scenes:
        return np.zeros((0, SIZE, SIZE, 3), np.uint8)
    return np.stack([_draw(scene) for scene in scenes])


def covered(scenes: Sequence[Scene]) -> Float[np.ndarray, "b h w"]:
    """Return the share of each pixel that objects cover, in the pictures that `render` draws."""
    generators = (np.random.default_rng(scene.seed) for scene in scenes)
    return np.stack(
        [_parts(scene, g)[3][..., 0] for scene, g in zip(scenes, generators, strict=True)]
    )


def _draw(scene: Scene) -> np.ndarray:
    generator = np.random.default_rng(scene.seed)
    picture, body, mark, cover, marked, outline = _parts(scene, generator)
    ink = body * 0.25
    inside = body + marked * (mark - body)
    painted = inside + outline * (ink - inside)
    picture = picture + cover * (painted - picture)
    picture = STYLES[scene.style](picture, cover, outline, generator)
    tilt = generator.uniform(-0.12, 0.12, 2)
    slope = 1 + tilt[0] * _COARSE[0] + tilt[1] * _COARSE[1]
    picture = picture * (slope * _EXPOSURES[scene.light])[..., None]
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def _parts(scene: Scene, generator: np.random.Generator) -> tuple[Plane, ...]:
    """Return the ground, the colours of body and mark, and the three planes of `_coverage`."""
    ground = BACKGROUNDS[scene.background](*_COARSE, generator)
    look = scene.species.look
    body, mark = (_shade(RGB[colour], generator) for colour in (look.body, look.mark))
    return ground, body, mark, *_coverage(scene, generator)


def _shade(rgb: tuple, generator: np.random.Generator) -> np.ndarray:
    return np.asarray(rgb) * generator.uniform(0.92, 1.04) + generator.uniform(-0.02, 0.02, 3)


def _coverage(scene: Scene, generator: np.random.Generator) -> tuple[Plane, Plane, Plane]:
    """Return shares of each pixel: covered by an object; of that marked; of that outline."""
    radius = _GROUP_RADII.get(scene.arrangement) or _SINGLE_RADII[scene.size]
    radius *= generator.uniform(0.93, 1.07)
    room = max(0.0, 0.95 - radius) if scene.arrangement == "single" else 0.08
    shift = generator.uniform(-room, room, 2)
    shape, fill = SHAPES[scene.species.look.shape], FILLS[scene.species.look.fill]
    total = np.zeros((3, SIZE, SIZE))
    for centre in _CENTRES[scene.arrangement]:
        angle, side = generator.uniform(-0.3, 0.3), generator.choice((-1, 1))
        cos, sin = np.cos(angle) / radius, np.sin(angle) / radius
        x, y = _FINE[0] - centre[0] - shift[0], _FINE[1] - centre[1] - shift[1]
        x, y = side * (cos * x + sin * y), cos * y - sin * x
        level = shape(x, y)
        inside = level < 0
        # The outline is about one pixel wide whatever the object's size.
        line = inside & (level > -_OUTLINE * 0.5 / radius)
        masks = np.stack([inside, inside & fill(x, y, level), line]).astype(np.float32)
        total += masks.reshape(3, SIZE, _SUPER, SIZE, _SUPER).mean((2, 4))
    cover = np.minimum(total[0], 1)[..., None]
    share = np.maximum(cover, 1e-6)
    marked, outline = (np.minimum(plane[..., None] / share, 1) for plane in total[1:])
    return cover, marked, outline


def _painting(picture: Plane, cover: Plane, outline: Plane, generator: np.random.Generator):
    """Paint in flat strokes: colours pushed apart and displaced in patches."""
    strokes = (_noise(generator, 16) - 0.5)[..., None]
    return np.round((picture + 0.22 * strokes) * 5) / 5 * 0.95 + 0.05


def _pixel(picture: Plane, cover: Plane, outline: Plane, generator: np.random.Generator):
    """Make pixel art: blocks of two by two."""
    half = picture.reshape(SIZE // 2, 2, SIZE // 2, 2, 3).mean((1, 3))
    return np.repeat(np.repeat(half, 2, 0), 2, 1)


def _night(picture: Plane, cover: Plane, outline: Plane, generator: np.random.Generator):
    """Make the picture dark and bluish, as by moonlight."""
    return picture * np.array([0.42, 0.46, 0.62]) + np.array([0.0, 0.01, 0.06])


def _sketch(picture: Plane, cover: Plane, outline: Plane, generator: np.random.Generator):
    """Draw by coloured pencil on paper: no background, the colours pale and hatched."""
    x, y = _COARSE
    hatch = (np.sin(24 * (x + y) + 6.3 * generator.random()) > 0)[..., None]
    pale = 1 - (1 - picture) * (0.4 + 0.25 * hatch)
    paper = np.array([0.96, 0.95, 0.90])
    drawn = paper + cover * (pale - paper)
    return drawn - cover * outline * drawn * 0.75


def _neon(picture: Plane, cover: Plane, outline: Plane, generator: np.random.Generator):
    """Let the object glow in the dark."""
    return picture * (0.12 + 0.95 * cover) + 0.35 * cover * outline


STYLES = {
    "photo": lambda picture, cover, outline, generator: picture,
    "painting": _painting,
    "pixel": _pixel,
    "night": _night,
    "sketch": _sketch,
    "neon": _neon,
}
