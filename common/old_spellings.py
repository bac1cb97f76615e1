"""What earlier versions called the values of some fields, and what they are called today."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from ml_collections import ConfigDict

from common.packages import METHODS
from common.progress import say

_SETS = {
    "aircrafts": "fgvc_aircraft",
    "caltech": "caltech101",
    "cars": "stanford_cars",
    "flowers": "oxford_flowers",
    "foods": "food101",
    "pets": "oxford_pets",
    "ucf": "ucf101",
}

OLD_SPELLINGS: Mapping[str, Mapping[str, str]] = {
    "dataset": _SETS,
    "paper": _SETS,
    "protocol": {
        "all_class": "all_classes",
        "base_to_novel": "base_to_new",
        "supervised": "all_classes",
    },
}
"""By the field and the old value, in configs of our own methods alone: protocols have the same
names in all of them, data sets those of CoOp."""


def respelled(fields: Mapping[str, Any] | ConfigDict) -> dict[str, str]:
    """Return today's values of those fields that are spelled as earlier, and say them."""
    if not _is_ours(fields.get("method")):
        return {}
    found = {}
    for name, values in OLD_SPELLINGS.items():
        old = fields.get(name)
        if isinstance(old, str) and old in values:
            found[name] = values[old]
            tell(name, old, values[old])
    return found


def spelled_today(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `config.json` holds in today's spelling, a method of ours as "package:class".

    Earlier versions wrote "package.module:class".
    """
    if not _is_ours(fields.get("method")):
        return dict(fields)
    module, _, name = fields["method"].partition(":")
    return {**fields, "method": f"{module.partition('.')[0]}:{name}", **respelled(fields)}


def _is_ours(method: Any) -> bool:
    return isinstance(method, str) and method.partition(":")[0].partition(".")[0] in METHODS


@cache  # Once is enough: a config passes here several times.
def tell(name: str, old: str, new: str) -> None:
    """Print the new spelling of a field's value, once."""
    say(f"{name}={old} is called {name}={new} today, and is read as that.")
