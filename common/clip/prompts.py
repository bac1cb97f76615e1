"""Texts, class names and templates as callers hold them."""

from collections.abc import Iterable
from typing import Any

from common.errors import UserError
from common.names import readable

PLAIN = "a photo of a {}."
"""CLIP's own template for a class."""


def require_texts(texts: Any, what: str) -> tuple[str, ...]:
    """Return the texts of a list, each a plain `str`, whatever kind of text an array holds.

    Raises:
      UserError: It is a single text or a set, or an entry is not text; the message names it.
    """
    if isinstance(texts, str):
        raise UserError(f"{what} is a single text, not a list: write [{str(texts)!r}].")
    try:
        if isinstance(texts, set | frozenset):
            raise TypeError  # Its order differs from run to run.
        texts = tuple(texts)
    except TypeError:
        raise UserError(
            f"{what} is of type {type(texts).__name__}, not a list: give texts in a list."
        ) from None
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise UserError(f"{what}[{place}] is of type {type(text).__name__}: give a text.")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise UserError(f"{what}[{place}], {text!a}, is not UTF-8: type it anew.") from None
    return tuple(map(str, texts))


def require_names(names: Iterable[Any]) -> tuple[str, ...]:
    """Return the names of one or more classes.

    Raises:
      UserError: There are none, or one is not a text or has no letter.
    """
    names = require_texts(names, "names")
    if not names:
        raise UserError("names is empty: give the classes to choose from.")
    for place, name in enumerate(names):
        if not readable(name):
            raise UserError(f"names[{place}], {name!r}, is empty: give each class a name.")
    return names


def require_templates(templates: str | Iterable[Any]) -> tuple[str, ...]:
    """Return one or more templates.

    Raises:
      UserError: There are none, or one has no place for the class's name.
    """
    single = isinstance(templates, str)
    templates = require_texts([templates] if single else templates, "templates")
    if not templates:
        raise UserError("templates is empty: give one or more, such as 'a photo of a {}.'.")
    for place, template in enumerate(templates):
        if "{}" not in template:
            raise UserError(
                f"templates[{place}], {template!r}, has no {{}} for the class's name: put it in."
            )
    return templates
