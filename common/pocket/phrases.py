"""Words for a look: nouns, marks, articles and plurals."""

from collections.abc import Sequence

import numpy as np

from common.pocket.world import Look, Species
from common.text import with_article

COARSE_NOUNS = ("thing", "creature", "object", "shape", "figure")

# Phrases for each fill: {m} is the mark colour, {a_m} the same with its article. The last
# form stands before the body colour, the others follow the noun.
_MARKS = {
    "striped": ("with {m} stripes", "striped with {m}", "{m}-striped"),
    "dotted": ("with {m} dots", "dotted with {m}", "{m}-dotted"),
    "banded": ("with {a_m} band", "with {a_m} band down the middle", "{m}-banded"),
    "halved": ("with {a_m} lower half", "with the lower half {m}", "half-{m}"),
    "rimmed": ("with {a_m} rim", "edged with {m}", "{m}-rimmed"),
    "cored": ("with {a_m} core", "with {a_m} spot in the middle", "{m}-cored"),
}
MARK_NOUNS = {
    "striped": "stripes",
    "dotted": "dots",
    "banded": "band",
    "halved": "lower half",
    "rimmed": "rim",
    "cored": "core",
}
_PLURALS = {"cross": "crosses", "fish": "fish"}


def plural(shape: str) -> str:
    """Return the plural of a shape's name."""
    return _PLURALS.get(shape, f"{shape}s")


def pick(values: Sequence, generator: np.random.Generator):
    """Draw one of the values, all equally likely."""
    return values[int(generator.integers(len(values)))]


def marks(look: Look) -> list[str]:
    """Return the phrases for a look's fill and mark colour; the last precedes the body colour."""
    a_mark = with_article(look.mark)
    return [form.format(m=look.mark, a_m=a_mark) for form in _MARKS[look.fill]]


def noun_group(species: Species, generator: np.random.Generator, detail: float) -> tuple[str, str]:
    """Return a noun group for a look and what follows it; `detail` in [0, 1) says how detailed."""
    look = species.look
    *behind, front = marks(look)
    if detail < 0.08:
        return pick(COARSE_NOUNS, generator), ""
    if detail < 0.16:
        return f"{look.body} {look.shape}", ""
    if detail < 0.22:
        return f"{look.fill} {look.shape}", f"in {look.body} and {look.mark}"
    if detail < 0.4:
        return f"{front} {look.body} {look.shape}", ""
    return f"{look.body} {look.shape}", pick(behind, generator)
