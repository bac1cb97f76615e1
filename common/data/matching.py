"""Finding classes by name where two sources spell them differently."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from common.data.spellings import FORMS, RELATIONS, SAME_WORDS, Form, folded
from common.errors import UserError
from common.text import counted, some


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
            by_rule = [name for name in names if self.rules[name] == rule]
            differ = counted(len(by_rule), "name differs", "names differ")
            example = f"{by_rule[0]!r} is {self.keys[by_rule[0]]!r} there"
            lines.append(f"{source}: {differ} by {rule}, e.g. {example}.")
        return lines

    def report(self, source: str) -> list[str]:
        """Return which classes were found and by what rules; "" where all match exactly."""
        lines = self.respelled(source)
        if not lines and not self.unmatched:
            return []
        missing = f", not {some(self.unmatched)}" if self.unmatched else ""
        classes = counted(len(self.keys) + len(self.unmatched), "class is", "classes are")
        return [f"{source}: {len(self.keys)} of {classes} named{missing}.", *lines]


def match_names(
    classnames: Iterable[str],
    keys: Iterable[str],
    source: str,
    same: Callable[[str, str], bool] = lambda first, second: False,
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
    names, key_of, rules = tuple(open_names), {}, {}
    for rule, form in FORMS.items():
        by_form = _grouped(open_keys, form)
        candidates = {name: by_form.get(form(name), ()) for name in open_names}
        _settle(candidates, rule, source, same, key_of, rules)
        open_names = [name for name in open_names if name not in key_of]
        if rule != SAME_WORDS[0]:  # "Missile" may have the key of "missile".
            open_keys = _unused(open_keys, key_of)
    for rule, relation in RELATIONS.items():
        said = {key: relation.said(key) for key in open_keys}  # Once, not for each pair.
        candidates = {
            name: [key for key in open_keys if relation.fits(of_name, said[key])]
            for name, of_name in zip(open_names, map(relation.said, open_names), strict=True)
        }
        _settle(candidates, rule, source, same, key_of, rules)
        open_names = [name for name in open_names if name not in key_of]
        open_keys = _unused(open_keys, key_of)
    key_of = {name: key_of[name] for name in names if name in key_of}
    return Matches(key_of, rules, tuple(open_names), tuple(open_keys))


def require_matches(
    matches: Matches, names: Iterable[str], keys: Iterable[str], source: str
) -> None:
    """Refuse a source that names none of the classes.

    Raises:
      UserError: No key is the name of a class.
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
    key_of: dict[str, str],
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
        first = owner.setdefault(keys[0], name)
        if folded(first) != folded(name):
            raise UserError(
                f"the key {keys[0]!r} of {source} fits two classes, {first!r} and {name!r}: "
                "spell it like one of them."
            )
        key_of[name], rules[name] = keys[0], rule


def _unused(keys: Sequence[str], key_of: Mapping[str, str]) -> list[str]:
    used = set(key_of.values())
    return [key for key in keys if key not in used]
