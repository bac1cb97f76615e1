"""The pocket world: what can be drawn, and which made-up species live in it.

A *species* is one combination of shape, fill and two colours, with a made-up name. A photo
of it varies in everything else. Which species and which combinations pretraining may see is
decided here and nowhere else, so "held out" means the same for every module:

- `NAMED`: species whose names are used often in pretraining captions.
- `RARE`, `SECOND`: their names occur now and then, as car models do in web captions.
- `NAMELESS`: neither the name nor anything with this shape and these two colours occurs.
- `is_unseen`: further combinations that never occur, to measure composition on.

All choices are by hash, not by a random generator, and so do not depend on any library.
"""

import hashlib
import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

SHAPES = (
    "circle", "square", "triangle", "diamond", "cross", "star",
    "heart", "crescent", "drop", "flower", "arrow", "fish",
)  # fmt: skip
FILLS = ("striped", "dotted", "banded", "halved", "rimmed", "cored")
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "white", "black")
BACKGROUNDS = ("grass", "sand", "water", "snow", "wood", "brick", "stone", "carpet")
SIZES = ("small", "medium", "large")
ARRANGEMENTS = ("single", "pair", "row")
LIGHTS = ("dark", "plain", "bright")


@dataclass(frozen=True)
class Look:
    """What tells one species from another."""

    shape: str
    fill: str
    body: str
    mark: str


@dataclass(frozen=True)
class Species:
    """A look and its made-up name, which is empty for a species without one."""

    name: str
    look: Look


@dataclass(frozen=True)
class Scene:
    """Everything a picture shows; `seed` fixes what captions leave out (place, angle, shade)."""

    species: Species
    background: str = "grass"
    size: str = "medium"
    arrangement: str = "single"
    light: str = "plain"
    style: str = "photo"
    seed: int = 0


def _shuffled(items: Iterable, salt: str) -> list:
    """Return the items in an order that depends on the salt alone."""
    return sorted(items, key=lambda item: hashlib.sha256(f"{salt}/{item}".encode()).digest())


LOOKS = tuple(
    Look(shape, fill, body, mark)
    for shape, fill, body, mark in itertools.product(SHAPES, FILLS, COLOURS, COLOURS)
    if body != mark
)

# Two families of classes share each shape; within a family only fill and colour roles differ.
NAMELESS_FAMILIES = (
    ("star", ("striped", "dotted"), ("red", "white")),
    ("heart", ("banded", "halved"), ("blue", "yellow")),
    ("fish", ("striped", "cored"), ("orange", "black")),
    ("flower", ("rimmed", "dotted"), ("purple", "yellow")),
    ("drop", ("halved", "striped"), ("green", "white")),
)


def _family_looks(shape: str, fills: tuple[str, ...], colours: tuple[str, str]) -> list[Look]:
    first, second = colours
    return [
        Look(shape, fill, body, mark)
        for fill in fills
        for body, mark in ((first, second), (second, first))
    ]


_RESERVED = {(shape, frozenset(colours)) for shape, _, colours in NAMELESS_FAMILIES}
_FREE = [look for look in LOOKS if (look.shape, frozenset((look.body, look.mark))) not in _RESERVED]
_UNSEEN = frozenset(_shuffled(_FREE, "unseen")[: len(_FREE) // 20])
_SEEN = [look for look in _FREE if look not in _UNSEEN]


def is_unseen(look: Look) -> bool:
    """Return whether pretraining never shows the look and never describes it."""
    return look in _UNSEEN or (look.shape, frozenset((look.body, look.mark))) in _RESERVED


_ONSETS = (
    "zor", "bli", "mak", "fen", "dru", "gal", "pim", "quo", "tas", "vel",
    "nib", "hux", "lom", "rud", "ske", "wob", "yar", "jep", "kri", "cho",
)  # fmt: skip
_CODAS = (
    "vik", "dax", "nor", "lub", "tep", "gom", "zin", "fro", "mek", "bast", "rell", "pod",
    "quil", "shan", "thu", "wick", "yen", "jax", "kol", "cru", "hib", "sno", "dri", "vap",
)  # fmt: skip
_NAMES = _shuffled((onset + coda for onset in _ONSETS for coda in _CODAS), "names")

_NAMED_COUNT, _RARE_COUNT, _SECOND_COUNT = 400, 24, 16
_BOUND = _shuffled(_SEEN, "bound")[: _NAMED_COUNT + _RARE_COUNT + _SECOND_COUNT]
_ALL = tuple(Species(name, look) for name, look in zip(_NAMES, _BOUND, strict=False))

NAMED = _ALL[:_NAMED_COUNT]
RARE = _ALL[_NAMED_COUNT : _NAMED_COUNT + _RARE_COUNT]
SECOND = _ALL[_NAMED_COUNT + _RARE_COUNT :]
NAMELESS = tuple(
    Species(name, look)
    for name, look in zip(
        _NAMES[len(_BOUND) :],
        (look for family in NAMELESS_FAMILIES for look in _family_looks(*family)),
        strict=False,
    )
)

# Looks of species that pretraining meets under their own names only.
_OWNED = frozenset(species.look for species in RARE + SECOND)
ANONYMOUS = tuple(Species("", look) for look in _SEEN if look not in _OWNED)
UNSEEN = tuple(Species("", look) for look in LOOKS if is_unseen(look))


def sample_scene(species: Species, generator: np.random.Generator, style: str = "photo") -> Scene:
    """Draw a scene of a species: mostly one of it, anywhere, under any light."""
    return Scene(
        species,
        background=_drawn(generator, BACKGROUNDS, (1,) * len(BACKGROUNDS)),
        size=_drawn(generator, SIZES, (1, 2, 2)),
        arrangement=_drawn(generator, ARRANGEMENTS, (16, 2, 1)),
        light=_drawn(generator, LIGHTS, (1, 4, 1)),
        style=style,
        seed=int(generator.integers(2**31)),
    )


def _drawn(generator: np.random.Generator, values: tuple[str, ...], odds: tuple[int, ...]) -> str:
    return values[int(np.searchsorted(np.cumsum(odds), generator.random() * sum(odds)))]
