"""Text of others that may go anywhere: a terminal, a table, a page."""

import functools
import os
import re
import reprlib
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any

# Control characters, format characters (those that turn the direction of writing, or have no
# width), halves of a character, and the ends of a line and of a paragraph.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_LINE_END = re.compile(r"\s*\n\s*")


def printable(text: str, *, lines: bool = False) -> str:
    r"""Return `text` with every character that nobody sees written out, e.g. as `\x1b`, `\u202e`.

    A terminal obeys such characters, and readers are deceived by them.

    Args:
      text: Of whatever origin.
      lines: Whether it may have several lines; else `\n` is written out as well.
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or (lines and letter == "\n") else _escaped(letter)
        for letter in text
    )


def quoted(value: Any, longest: int = 80) -> str:
    """Return a value for a sentence: shortened, on one line, without what a terminal would obey."""
    return printable(_LINE_END.sub(" ", _short(longest).repr(value)))


@functools.cache
def _short(longest: int) -> reprlib.Repr:
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = longest
    return short


def shown(path: os.PathLike[str] | str) -> str:
    """Return a path in quotes as errors name it, without the middle of a very long one."""
    return quoted(os.fspath(path), 200)


def shortened(text: str, longest: int) -> str:
    """Return the first `longest` letters, and an ellipsis if more follow."""
    return text if len(text) <= longest else f"{text[:longest]}…"


def some(
    names: Iterable[Any],
    limit: int = 5,
    show: Callable[[Any], str] = quoted,
    none: str = "nothing",
) -> str:
    """Return the first `limit` names, and how many follow; `none` where there is no name."""
    names = list(names)
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return (", ".join(map(show, names[:limit])) or none) + more


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number and what it counts: "1 photo", "2 photos", "3 classes".

    Args:
      number: How many.
      one: One of them.
      many: Several of them, if more is added than an ending.
    """
    if number == 1:
        return f"1 {one}"
    return f"{number} {many or (f'{one}es' if one.endswith('s') else f'{one}s')}"


def with_article(noun: str) -> str:
    """Put "a" or "an" before a noun."""
    return f"{'an' if noun[:1].lower() in tuple('aeiou') else 'a'} {noun}"


def _escaped(letter: str) -> str:
    if unicodedata.category(letter) not in _UNSEEN:
        return letter
    return letter.encode("unicode_escape").decode("ascii")
