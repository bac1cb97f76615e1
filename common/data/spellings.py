"""Spellings of one class name that differ in all but what they mean.

Published files spell the same classes as `yin_yang` and `Yin Yang`, `AnnualCrop`, `2012 Acura TL
Sedan` and `Acura TL Sedan 2012`, `lotus lotus`, `Sea or Lake` and `lake or sea`.
"""

import re
import unicodedata
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

from common.names import readable

Form = Callable[[str], Hashable]
"""What is equal for two spellings of one name."""


@dataclass(frozen=True)
class Relation:
    """When a name and a key mean the same although no form makes them equal.

    Attributes:
      said: What a spelling says.
      fits: Whether what a name and what a key says belong together.
    """

    said: Callable[[str], frozenset]
    fits: Callable[[frozenset, frozenset], bool]


def folded(name: str) -> str:
    """Return lower case, with underscores as spaces; letters of one look are one letter (NFKC)."""
    return readable(unicodedata.normalize("NFKC", name)).casefold()


def _letters(name: str) -> str:
    """Keep letters and digits alone: `Coquille St-Jacques`, `black-eyed susan?`."""
    bare = unicodedata.normalize("NFKD", folded(name).replace("&", " and "))
    bare = "".join(c for c in bare if not unicodedata.combining(c))
    # An apostrophe joins: `Brewer's`.
    return " ".join(re.sub(r"[^\w]|_", " ", re.sub("['`\u2019]", "", bare)).split())


def _apart(name: str) -> str:
    """Split CamelCase: `HerbaceousVegetation`."""
    return _letters(re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name))


def _without_articles(name: str) -> str:
    words = _apart(name).split()
    return " ".join(word for word in words if word not in ("a", "an", "the")) or _apart(name)


def _year_first(name: str) -> str:
    """Put the year of a car in front: `Acura TL Sedan 2012`."""
    words = _without_articles(name)
    return re.sub(r"^(.+) ((?:19|20)\d\d)$", r"\2 \1", words)


ENDINGS = {"ies": "y", "sses": "ss", "shes": "sh", "ches": "ch", "xes": "x"}
"""Of plurals and of their singulars."""


def _singular(word: str) -> str:
    for ending, singular in ENDINGS.items():
        if word.endswith(ending) and len(word) > len(ending) + 1:
            return word.removesuffix(ending) + singular
    return word[:-1] if re.search(r"[^suis]s$", word) and len(word) > 3 else word


def _singulars(name: str) -> str:
    return " ".join(map(_singular, _year_first(name).split()))


def _once(name: str) -> str:
    """Drop the repetition of a word: `lotus lotus`."""
    return re.sub(r"\b(\w+)( \1)+\b", r"\1", _singulars(name))


def _joined(name: str) -> str:
    """Drop the spaces: `cup cakes`, `ice cream` and `icecream`."""
    return _once(name).replace(" ", "")


def _alternatives(name: str) -> frozenset[str]:
    """Return what `or` separates, in any order: `Sea or Lake`."""
    return frozenset(filter(None, _once(name).split(" or ")))


FORMS: Mapping[str, Form] = {
    "the same spelling": lambda name: name,
    "case and underscores": folded,
    "punctuation": _letters,
    "CamelCase": _apart,
    "articles": _without_articles,
    "the place of the year": _year_first,
    "plurals": _singulars,
    "repeated words": _once,
    "spaces": _joined,
    "the order around 'or'": _alternatives,
}
"""By what two spellings may differ, in the order of trying; each form includes those before it."""

SAME_WORDS = ("the same spelling", "case and underscores")
"""Rules that change the spelling of a name and none of its words."""

SYNONYMS = (
    # Files of descriptors for EuroSAT (arXiv 2210.07183) translate the map's terms.
    ("herbaceous vegetation land", "herbaceous vegetation", "brushland or shrubland"),
    ("annual crop land", "annual crop"),
    ("permanent crop land", "permanent crop"),
    ("highway or road", "highway"),
    ("residential buildings", "residential"),
    ("industrial buildings", "industrial"),
    ("pasture land", "pasture"),
    ("sea or lake", "sea lake"),
    # CLIP renamed what ImageNet's own list calls so.
    ("newt", "eft"),
    ("tights", "maillot"),
)


def _synonym_groups(name: str) -> frozenset[int]:
    """Return the numbers of the groups of `SYNONYMS` that the name is in."""
    bare = _apart(name)
    return frozenset(number for number, group in enumerate(SYNONYMS) if bare in group)


def _one_says_more(name: frozenset[str], key: frozenset[str]) -> bool:
    """Return whether one has all alternatives of the other, and more."""
    return len(name | key) > 1 and (name <= key or key <= name)


RELATIONS: Mapping[str, Relation] = {
    # `Industrial Buildings` of `industrial or commercial buildings`.
    "alternatives beside it": Relation(_alternatives, _one_says_more),
    "another name of the class": Relation(_synonym_groups, lambda name, key: bool(name & key)),
}
"""What is tried of names that no form has matched, in this order."""
