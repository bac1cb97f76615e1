"""Settings of a config: what stands behind the colon, and what a Python program gives."""

import difflib
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from common.errors import UserError
from common.old_spellings import respelled, todays_names
from common.text import quoted
from common.values import check_name, flatten, kind_of, parse_value, typed

_OPEN, _CLOSED = "([", ")]"


def apply_arg(config: ConfigDict, arg: str | Mapping[str, Any] | None) -> ConfigDict:
    """Apply "key=value,key=value", or what a program gives as a mapping, to `config`.

    Keys may be dotted ("mesh.data=2"). A value is read as the type of the field's default;
    a bare key means true. Values may contain ":" and "="; a comma, too, inside brackets or where
    what follows it cannot be a setting: "data=karpathy:a.json,photos,seed=3".

    Returns:
      `config` itself.

    Raises:
      UserError: No such field, or a value that is none of the field's type.
    """
    if isinstance(arg, Mapping):
        return _apply_fields(config, flatten(arg))
    fields = flatten(config)
    todays = todays_names(config.get("method"), fields)
    texts: dict[str, str | None] = {}
    last = ""  # Today's name of the field before.
    for setting in _settings(arg or ""):
        written, equals, text = (part.strip() for part in setting.partition("="))
        name = todays.get(written, written)
        if not equals and texts and _goes_on(config, fields, last, name):
            before = [*texts][-1]
            texts[before] = f"{texts[before]},{setting}"
            continue
        if name not in fields and texts and type(fields[last]) is str:
            _check_continued(name, fields, last)
        check_name(name, fields)
        if not equals and kind_of(config, name) is not bool:
            raise UserError(f"{name!r} needs a value: write {name}=VALUE.")
        texts.pop(written, None)  # Of two settings the last one counts.
        texts[written], last = text if equals else None, name
    for name, text in _in_todays_spelling(config, texts).items():
        kind = kind_of(config, name)
        value = True if text is None else parse_value(name, text, kind, fields[name])
        config.update_from_flattened_dict({name: value})
    return config


def _apply_fields(config: ConfigDict, fields: Mapping[str, Any]) -> ConfigDict:
    defaults = flatten(config)
    values = {name: _plain(value) for name, value in fields.items()}
    values = _in_todays_spelling(config, values)
    for name in values:
        check_name(name, defaults)
    config.update_from_flattened_dict(typed(values, defaults, "", "give one"))
    return config


def _in_todays_spelling(config: ConfigDict, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields by dotted name as today's version of the config calls them; say which."""
    todays = respelled({"method": config.get("method"), **fields}, flatten(config))
    spelled: dict[str, Any] = {}
    for written, value in fields.items():
        name, today = todays.get(written, (written, value))
        spelled.pop(name, None)  # Of two settings the last one counts.
        spelled[name] = today
    return spelled


def _plain(value: Any) -> Any:
    """Format a value as a config file writes it."""
    if isinstance(value, list | tuple):
        return tuple(map(_plain, value))
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.generic):
        return value.item()
    return getattr(value, "spec", value)  # Of a data set in memory.


def _settings(arg: str) -> list[str]:
    """Return the parts between commas that are not inside of brackets."""
    parts, expected = [""], ""
    for letter in arg:
        if letter in _OPEN:
            expected += _CLOSED[_OPEN.index(letter)]
        elif expected and letter == expected[-1]:
            expected = expected[:-1]
        if letter == "," and not expected:
            parts.append("")
        else:
            parts[-1] += letter
    if expected and "," in parts[-1]:
        raise UserError(
            f"{quoted(parts[-1])} lacks {expected[-1]!r}: close the bracket, or write such a text "
            "as --config.FIELD=VALUE."
        )
    return [part for part in parts if part.strip()]


def _goes_on(config: ConfigDict, fields: Mapping[str, Any], last: str, part: str) -> bool:
    """Return whether the text after a comma continues the value before it."""
    if kind_of(config, last) not in (str, tuple):
        return False
    switches = [name for name in fields if kind_of(config, name) is bool]
    return part not in fields and not difflib.get_close_matches(part, switches, n=1, cutoff=0.8)


def _check_continued(name: str, fields: Mapping[str, Any], last: str) -> None:
    """Refuse what is neither a field nor near one, and may belong to the text ahead of it."""
    if not difflib.get_close_matches(name, fields, n=1) and not name.startswith(tuple(fields)):
        raise UserError(
            f"{quoted(name)} is not a field of the config; if it belongs to the value of {last}, "
            f"write that as --config.{last}=VALUE, where commas are taken as they are."
        )
