"""Text of others that may go anywhere: a terminal, a table, a page."""

import unicodedata

# Control characters, format characters (those that turn the direction of writing, or have no
# width), halves of a character, and the ends of a line and of a paragraph.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


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
        letter if letter.isprintable() or (lines and letter == "\n") else _shown(letter)
        for letter in text
    )


def _shown(letter: str) -> str:
    if unicodedata.category(letter) not in _UNSEEN:
        return letter
    return letter.encode("unicode_escape").decode("ascii")
