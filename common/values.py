"""Values of a config's fields, as people write them and as JSON brings them back."""

import difflib
import math
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from common.errors import UserError

_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def check_name(name: str, fields: Mapping[str, Any]) -> None:
    """Refuses a name that is none of `fields`, and says which is near.

    Raises:
      UserError: there is no such field.
    """
    if name in fields:
        return
    inside = [field for field in fields if field.startswith(f"{name}.")]
    near = inside or difflib.get_close_matches(name, fields, n=1)
    remedy = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(sorted(fields))}."
    what = "is a group of fields" if inside else "is no field of the config"
    raise UserError(f"{name!r} {what}; {remedy}")


def kind_of(config: ConfigDict, name: str) -> type:
    """The type of a field by its dotted name."""
    *parents, last = name.split(".")
    for parent in parents:
        config = config[parent]
    return config.get_type(last)


def parse_value(name: str, text: str, kind: type, default: Any) -> Any:
    """Reads `text` as a value of the type `kind`; a tuple's items are of its default's type.

    Raises:
      UserError: it is none.
    """
    if kind is bool:
        if text.lower() not in _TRUTH:
            raise UserError(f"{name}={text!r} is neither true nor false.")
        return _TRUTH[text.lower()]
    if kind in (tuple, list):
        parts = [part.strip() for part in text.strip("()[] ").split(",") if part.strip()]
        inner = type(default[0]) if default else str
        return kind(parse_value(name, part, inner, None) for part in parts)
    if kind not in (int, float):
        return text
    try:
        value = kind(text)
    except ValueError:
        expected = "a whole number" if kind is int else "a number"
        raise UserError(f"{name}={text!r} is not {expected}.") from None
    if math.isnan(value):
        raise UserError(f"{name}={text!r} is not a number.")
    return value


def lists_to_tuples(value: Any) -> Any:
    """JSON knows no tuples, configs no lists."""
    if isinstance(value, dict):
        return {name: lists_to_tuples(item) for name, item in value.items()}
    return tuple(map(lists_to_tuples, value)) if isinstance(value, list) else value


def filled_up(written: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """`written`, with the fields of `defaults` that it or one of its groups lacks."""
    groups = {
        name: filled_up(value, defaults[name])
        for name, value in written.items()
        if isinstance(value, dict) and isinstance(defaults.get(name), dict)
    }
    return defaults | written | groups
