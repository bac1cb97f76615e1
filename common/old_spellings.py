"""What earlier versions called fields and their values, and what they are called today.

Configs of our own methods are read so, wherever they come from; other methods spell as they like.
"""

from collections.abc import Container, Mapping
from functools import cache
from pathlib import PurePath
from typing import Any

from common.packages import package_of
from common.progress import say
from common.values import flatten

SOURCE = "prompts.source"
"""The field whose bare path stands for `json:PATH`."""

OLD_FIELDS: Mapping[str, Mapping[str, str]] = {
    "mcti_jax": {"paper": "recipe", "square": "fit"},
    "protext_jax": {
        "dataset": "recipe",
        "pattern": "prompts.pattern",
        "prompts": SOURCE,
        "source": "prompts.kind",
    },
    "aape_jax": {"paper": "recipe", "prompts": SOURCE},
}
"""By package and old name."""

OLD_SETTINGS: Mapping[str, Mapping[str, str]] = {
    "protext_jax": {"recipe=yaml": "recipe_from=code", "recipe=paper": "recipe_from=paper"},
}
"""By package: old fields whose names have another meaning today."""

OLD_SPELLINGS: Mapping[str, Mapping[str, str]] = {
    "preset": {"clip_adapter": "adapter_projection", "default": "projection"},
    "protocol": {
        "all_class": "all_classes",
        "base_to_novel": "base_to_new",
        "supervised": "all_classes",
    },
    "recipe": {
        "aircrafts": "fgvc_aircraft",
        "caltech": "caltech101",
        "cars": "stanford_cars",
        "flowers": "oxford_flowers",
        "foods": "food101",
        "pets": "oxford_pets",
        "ucf": "ucf101",
    },
}
"""By today's field and the old value; protocols have the same names in all methods, and data sets
those of CoOp."""

BEFORE_FIELDS: Mapping[str, Mapping[str, Any]] = {
    "mcti_jax:MCTI": {"classification": "paper"},
    "aape_jax:Captioning": {"token_rate": 3e-3},  # The usual `learning_rate`.
    "aape_jax:Classification": {"classifier.classes": "template", "classifier.blend": 1.0},
}
"""By method: what runs did that are older than a field whose default is another today."""

_KINDS = ("pocket", "json", "features", "none")


def todays_names(method: Any, known: Container[str]) -> dict[str, str]:
    """Return today's names by old ones, of those fields that are `known` in a method's config."""
    return {old: new for old, new in OLD_FIELDS.get(package_of(method), {}).items() if new in known}


def is_old_name(name: str) -> bool:
    """Return whether a field of some method was called so."""
    settings = (setting for table in OLD_SETTINGS.values() for setting in table)
    return any(name in names for names in OLD_FIELDS.values()) or any(
        setting.startswith(f"{name}=") for setting in settings
    )


def respelled(
    fields: Mapping[str, Any], known: Container[str] | None = None
) -> dict[str, tuple[str, str]]:
    """Return today's name and value of those fields that are spelled otherwise, and say them.

    Args:
      fields: By dotted name, with "method"; only texts are spelled otherwise.
      known: Names that the method has today, if others are to be left as they are.
    """
    package = package_of(fields.get("method"))
    if not package:
        return {}
    texts = {name: value for name, value in fields.items() if isinstance(value, str)}
    todays = {name: _today(package, name, value) for name, value in texts.items()}
    found = {
        name: today
        for name, today in todays.items()
        if today != (name, texts[name]) and (known is None or today[0] in known)
    }
    # That a field was left empty, or a path written alone, needs no word.
    said = [name for name in found if texts[name] and name != SOURCE]
    if said:
        tell(
            tuple(f"{name}={texts[name]}" for name in said),
            tuple("=".join(found[name]) for name in said),
        )
    return found


def spelled_today(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `config.json` holds in today's spelling, a method of ours as "package:class".

    Earlier versions wrote "package.module:class". A field that they had not takes the value that
    stands for what they did, where today's default does not.
    """
    package = package_of(fields.get("method"))
    if not package:
        return dict(fields)
    written = flatten(fields)
    found = respelled(written)
    today = {name: value for name, value in fields.items() if name not in found}
    today["method"] = method = f"{package}:{fields['method'].partition(':')[2]}"
    before = BEFORE_FIELDS.get(method, {})
    lacking = [(name, value) for name, value in before.items() if name not in written]
    for name, value in (*lacking, *found.values()):
        group, _, last = name.rpartition(".")
        if not group:
            today[name] = value
        elif isinstance(others := today.get(group, {}), Mapping):
            today[group] = {**others, last: value}
    return today


def _today(package: str, name: str, value: str) -> tuple[str, str]:
    if moved := OLD_SETTINGS.get(package, {}).get(f"{name}={value}"):
        new, _, value = moved.partition("=")
        return new, value
    new = OLD_FIELDS[package].get(name, name)
    if new == SOURCE:
        return new, _with_kind(value, is_old=name != new)
    return new, OLD_SPELLINGS.get(new, {}).get(value, value)


def _with_kind(source: str, is_old: bool) -> str:
    """Return a source of prompts with its kind: a path alone, as earlier, is a JSON file's."""
    if source.partition(":")[0] in _KINDS:
        return source
    if is_old:
        return f"json:{source}" if source else "pocket"
    is_path = ":" not in source and ("/" in source or PurePath(source).suffix)
    return f"json:{source}" if is_path else source


@cache  # Once is enough: a config passes here several times.
def tell(old: tuple[str, ...], new: tuple[str, ...]) -> None:
    """Print the new spelling of settings, once."""
    be, that = ("is", "that") if len(old) == 1 else ("are", "those")
    say(f"{', '.join(old)} {be} called {', '.join(new)} today, and {be} read as {that}.")
