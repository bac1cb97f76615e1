"""Values of a config's fields, as people write them and as JSON brings them back."""

import difflib
import math
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from common import nesting
from common.errors import UserError
from common.text import quoted

LARGEST = 2**64 - 1
"""Of whole numbers, seeds for instance."""

LONGEST = 10_000
"""Letters of a text, and values of a list, that a field may hold."""

_EXACT = 2**53  # Up to here a float is the whole number that was written.

_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
_ITEM = re.compile(r"""\s*("[^"]*"|'[^']*'|[^,]*?)\s*(?:,|$)""")
"""Of a list; a comma within quotes belongs to it."""
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def check_name(name: str, fields: Mapping[str, Any]) -> None:
    """Refuse a name that is none of `fields`, and say which is near.

    Raises:
      UserError: There is no such field.
    """
    if name in fields:
        return
    inside = [field for field in fields if field.startswith(f"{name}.")]
    near = inside or difflib.get_close_matches(name[:LONGEST], fields, n=1)
    remedy = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(sorted(fields))}."
    what = "is a group of fields" if inside else "is not a field of the config"
    raise UserError(f"{quoted(name)} {what}; {remedy}")


def flatten(config: Mapping[str, Any] | ConfigDict) -> dict[str, Any]:
    """Return the fields by dotted name, e.g. {"mesh.data": -1}."""
    return nesting.flatten(config, ".", Mapping | ConfigDict)


def kind_of(config: ConfigDict, name: str) -> type:
    """Return the type of a field by its dotted name."""
    *parents, last = name.split(".")
    for parent in parents:
        config = config[parent]
    return config.get_type(last)


def parse_value(name: str, text: str, kind: type, default: Any) -> Any:
    """Read `text` as a value of the type `kind`; a tuple's items are of its default's type.

    Raises:
      UserError: It is none.
    """
    if kind is bool:
        if text.lower() not in _TRUTH:
            raise UserError(f"{name}={quoted(text)} is neither true nor false.")
        return _TRUTH[text.lower()]
    if kind in (tuple, list):
        bare = text.strip()
        if bare[:1] in ("(", "[") and bare[-1:] in (")", "]"):
            bare = bare[1:-1]
        parts = [_unquoted(item[1]) for item in _ITEM.finditer(bare) if item[1]]
        inner = type(default[0]) if default else str
        return kind(parse_value(name, part, inner, None) for part in parts)
    if kind is int:
        return _whole(name, text)
    if kind is float:
        return _number(name, text)
    return check_text(name, text)


def _whole(name: str, text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not number.is_integer() or abs(number) > _EXACT:
            raise UserError(f"{name}={quoted(text)} is not a whole number.") from None
        value = int(number)  # "1e3" and "3.0" are whole numbers.
    if abs(value) > LARGEST:
        raise UserError(f"{name}={quoted(text)} is out of range: the largest is 2**64 - 1.")
    return value


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise UserError(f"{name}={quoted(text)} is not a number.")
    if math.isinf(value) and any(letter.isdigit() for letter in text):
        raise UserError(f"{name}={quoted(text)} is too large for a number.")
    return value


def check_text(name: str, text: str) -> str:
    """Return the text of a field.

    Raises:
      UserError: It is longer than any that is meant, or holds what no text does.
    """
    if len(text) > LONGEST:
        raise UserError(f"{name}={quoted(text)} has {len(text)} letters, more than {LONGEST}.")
    odd = [letter for letter in text if unicodedata.category(letter) in ("Cc", "Cs")]
    if odd:
        what = "control character" if odd[0] < "\ud800" else "byte that is not UTF-8"
        raise UserError(f"{name}={quoted(text)} holds a {what}, {odd[0]!a}: leave it out.")
    return text


def _unquoted(text: str) -> str:
    quotes = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1] if quotes else text


def typed(
    written: Mapping[str, Any],
    defaults: Mapping[str, Any],
    where: str,
    remedy: str = "train the run again",
) -> dict[str, Any]:
    """Return fields that came from a file or a program, each of the type of its default.

    Args:
      written: What the file holds, with tuples for lists.
      defaults: Group by group; a field that is not among them is returned as it is.
      where: The file and the group, for sentences.
      remedy: What to do, likewise.

    Raises:
      UserError: A value is of another type, or beyond what any run would hold.
    """
    fields = dict(written)
    for name in written.keys() & defaults.keys():
        value, default = written[name], defaults[name]
        if isinstance(default, Mapping):
            if not isinstance(value, Mapping):
                raise UserError(f"{where}{name} is not a group of fields: {remedy}.")
            fields[name] = typed(value, default, f"{where}{name}.", remedy)
        else:
            fields[name] = _of_type(value, default, f"{where}{name}", remedy)
    return fields


def _of_type(value: Any, default: Any, where: str, remedy: str) -> Any:
    kind = type(default)
    if default is None:
        fits = not isinstance(value, Mapping | tuple)
    elif kind is tuple:
        if not isinstance(value, tuple) or len(value) > LONGEST:
            raise UserError(f"{where}={quoted(value)} is not a list of up to {LONGEST} values.")
        example = default[0] if default else ""
        return tuple(_of_type(item, example, where, remedy) for item in value)
    elif kind is int:
        whole = isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT
        value = int(value) if whole else value
        fits = type(value) is int and abs(value) <= LARGEST
    elif kind is float:
        fits = type(value) in (int, float) and abs(value) <= 1e308
        value = float(value) if fits else value
    else:
        fits = type(value) is kind
    if not fits:
        raise UserError(
            f"{where}={quoted(value)} is not {_KINDS.get(kind, 'a plain value')}, as this field "
            f"is: {remedy}."
        )
    return check_text(where, value) if isinstance(value, str) else value


def lists_to_tuples(value: Any) -> Any:
    """Turn lists into tuples: JSON knows no tuples, configs no lists."""
    if isinstance(value, dict):
        return {name: lists_to_tuples(item) for name, item in value.items()}
    return tuple(map(lists_to_tuples, value)) if isinstance(value, list) else value


def filled_up(written: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Return `written`, with the fields of `defaults` that it or one of its groups lacks."""
    groups = {
        name: filled_up(value, defaults[name])
        for name, value in written.items()
        if isinstance(value, dict) and isinstance(defaults.get(name), dict)
    }
    return defaults | written | groups
