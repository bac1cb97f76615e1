"""Finding classes by name where two sources spell them differently.

Spellings that published files use of the same classes: `yin_yang` and `Yin Yang`, `AnnualCrop`,
`2012 Acura TL Sedan` and `Acura TL Sedan 2012`, `lotus lotus`, `Sea or Lake` and `lake or sea`.
"""

import re
import unicodedata
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from common.data.names import readable
from common.errors import UserError
from common.text import some

Form = Callable[[str], Hashable]


def _words(name: str) -> str:
    """Return lower case, with underscores as spaces; letters of one look are one letter (NFKC)."""
    return readable(unicodedata.normalize("NFKC", name)).casefold()


def _letters(name: str) -> str:
    """Keep letters and digits alone: `Coquille St-Jacques`, `black-eyed susan?`."""
    bare = unicodedata.normalize("NFKD", _words(name).replace("&", " and "))
    bare = "".join(c for c in bare if not unicodedata.combining(c))
    # An apostrophe joins: `Brewer's`.
    return " ".join(re.sub(r"[^\w]|_", " ", re.sub("['`\u2019]", "", bare)).split())


def _apart(name: str) -> str:
    """Split CamelCase:  `HerbaceousVegetation`."""
    return _letters(re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name))


def _without_articles(name: str) -> str:
    words = _apart(name).split()
    return " ".join(word for word in words if word not in ("a", "an", "the")) or _apart(name)


def _year_first(name: str) -> str:
    """Put the year of a car in front: `Acura TL Sedan 2012`."""
    words = _without_articles(name)
    return re.sub(r"^(.+) ((?:19|20)\d\d)$", r"\2 \1", words)


def _singular(word: str) -> str:
    for ending, one in (("ies", "y"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x")):
        if word.endswith(ending) and len(word) > len(ending) + 1:
            return word.removesuffix(ending) + one
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
    "case and underscores": _words,
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

SOME_ALTERNATIVES = "alternatives beside it"
"""The last rule but one: `Industrial Buildings` of `industrial or commercial buildings`."""

SYNONYMS = "another name of the class"
KNOWN_SYNONYMS = (
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


@dataclass(frozen=True)
class Matches:
    """Which key of another source means which class.

    Attributes:
      keys: By class name; classes without one are missing.
      rules: By what the two spellings differ, by class name.
      unmatched: Classes without a key.
      unused: Keys that mean no class.
    """

    keys: Mapping[str, str]
    rules: Mapping[str, str]
    unmatched: tuple[str, ...]
    unused: tuple[str, ...]

    def respelled(self, source: str) -> list[str]:
        """Return the rules by which names in other words were found, a line for each.

        Args:
          source: What a sentence calls the place of the keys, e.g. "descriptors=cars.json".
        """
        names = [name for name, rule in self.rules.items() if rule not in SAME_WORDS]
        lines = []
        for rule in dict.fromkeys(self.rules[name] for name in names):
            own = [name for name in names if self.rules[name] == rule]
            example = f"{own[0]!r} is {self.keys[own[0]]!r} there"
            lines.append(f"{source}: {len(own)} names differ by {rule}, e.g. {example}.")
        return lines

    def report(self, source: str) -> list[str]:
        """Return which classes were found and by what rules; "" where all match exactly."""
        lines = self.respelled(source)
        if not lines and not self.unmatched:
            return []
        missing = f", not {some(self.unmatched)}" if self.unmatched else ""
        total = len(self.keys) + len(self.unmatched)
        return [f"{source}: {len(self.keys)} of {total} classes are named{missing}.", *lines]


def match_names(
    classnames: Iterable[str],
    keys: Iterable[str],
    source: str,
    same: Callable[[str, str], bool] = lambda one, other: False,
) -> Matches:
    """Find the key of each class: an exact match wins, then the forms in their order.

    A key that was found by one form is not looked for by those after it.

    Args:
      classnames: A name may occur twice; it has one key.
      keys: How another source spells classes.
      source: What a sentence calls that source.
      same: Whether two keys stand for one content, so that either will do.

    Raises:
      UserError: Two keys mean one class, or one key two classes of other words.
    """
    open_names, open_keys = list(dict.fromkeys(classnames)), list(dict.fromkeys(keys))
    names, found, rules = tuple(open_names), {}, {}
    for rule, form in FORMS.items():
        by_form = _grouped(open_keys, form)
        candidates = {name: by_form.get(form(name), ()) for name in open_names}
        _settle(candidates, rule, source, same, found, rules)
        open_names = [name for name in open_names if name not in found]
        if rule != SAME_WORDS[0]:  # "Missile" may have the key of "missile".
            open_keys = _untaken(open_keys, found)
    for rule, fits in ((SOME_ALTERNATIVES, _is_among), (SYNONYMS, _are_synonyms)):
        candidates = {name: [key for key in open_keys if fits(name, key)] for name in open_names}
        _settle(candidates, rule, source, same, found, rules)
        open_names = [name for name in open_names if name not in found]
        open_keys = _untaken(open_keys, found)
    found = {name: found[name] for name in names if name in found}
    return Matches(found, rules, tuple(open_names), tuple(open_keys))


def require_matches(
    matches: Matches, names: Iterable[str], keys: Iterable[str], source: str
) -> None:
    """Refuse a source that names none of the classes.

    Raises:
      UserError: It does.
    """
    if not matches.keys:
        raise UserError(
            f"{source} names none of the classes: it has {some(keys)}, the classes are "
            f"{some(names)}; give the file of these classes, or rename its keys."
        )


def _grouped(names: Iterable[str], form: Form) -> dict[Hashable, list[str]]:
    groups: dict[Hashable, list[str]] = {}
    for name in names:
        if normal := form(name):
            groups.setdefault(normal, []).append(name)
    return groups


def _settle(
    candidates: Mapping[str, Sequence[str]],
    rule: str,
    source: str,
    same: Callable[[str, str], bool],
    found: dict[str, str],
    rules: dict[str, str],
) -> None:
    """Record what one rule finds."""
    owner: dict[str, str] = {}
    for name, keys in candidates.items():
        for key in keys[1:]:
            if not same(keys[0], key):
                raise UserError(
                    f"{source} has two keys for the class {name!r}, {keys[0]!r} and {key!r}: "
                    "merge or rename them."
                )
        if not keys:
            continue
        other = owner.setdefault(keys[0], name)
        if _words(other) != _words(name):
            raise UserError(
                f"the key {keys[0]!r} of {source} fits two classes, {other!r} and {name!r}: "
                "spell it like one of them."
            )
        found[name], rules[name] = keys[0], rule


def _untaken(keys: Sequence[str], found: Mapping[str, str]) -> list[str]:
    taken = set(found.values())
    return [key for key in keys if key not in taken]


def _is_among(name: str, key: str) -> bool:
    """Return whether one says all alternatives of the other, and more."""
    own, others = _alternatives(name), _alternatives(key)
    return len(own | others) > 1 and (own <= others or others <= own)


def _are_synonyms(name: str, key: str) -> bool:
    return any(_apart(name) in group and _apart(key) in group for group in KNOWN_SYNONYMS)
