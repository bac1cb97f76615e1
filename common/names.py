"""Names that others chose, of files and of classes: how they are sorted, read and stored."""

import hashlib
import re
import unicodedata

from common.errors import UserError
from common.text import printable, shortened

LONGEST_STEM = 100
"""Bytes of a stem; pictures' names and those of temporary files add to it."""

LONGEST_NAME = 200
"""Bytes of a name that is to be a file's; file systems allow 255 with everything added."""

# Stands in no stem that is not shortened or changed, so the two kinds cannot meet.
_MARK = "~"
_DIGITS = 16

# What a stem may hold beside letters and digits. The first hyphen of a stem is the name's colon.
_KEPT = " -._"
_OTHER = re.compile(rf"[^\w{re.escape(_KEPT)}]+")

# Control characters, and marks that turn the direction of writing around.
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Return a sort key that counts as people do: `img2` before `img10`, class `9` before `10`."""
    parts = re.split(r"([0-9]+)", name)
    # The name itself breaks the tie between "1" and "01".
    return [int(part) if part.isdigit() and part.isascii() else part for part in parts], name


def readable(name: str) -> str:
    """Return a class name as words of a prompt: `yin_yang` becomes `yin yang`."""
    return " ".join(_UNSEEN.sub(" ", name.replace("_", " ")).split())


def composed(name: str) -> str:
    """Return a name as all systems spell it."""
    return unicodedata.normalize("NFC", name)


def told_apart(name: str) -> str:
    """Return what differs for two names that everybody can tell apart: capitals do not count."""
    return composed(name).casefold()


def file_stem(name: str) -> str:
    """Return the stem of the file for `name`, e.g. a data set's; other names have other stems.

    `pocket:nameless` becomes `pocket-nameless`. A name that a file cannot have, or that would
    meet another's, gets a digest behind it: `folder:a/b` becomes `folder-a-b~4fe5...`. A stem
    is never empty, nor hidden, nor longer than `LONGEST_STEM` bytes.
    """
    kind, colon, rest = name.partition(":")
    stem = f"{kind}-{rest}" if colon else name
    if "-" not in kind and _is_stem(stem):
        return stem
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
    text = _OTHER.sub("-", composed(name))
    room = LONGEST_STEM - len(_MARK) - _DIGITS
    text = text.encode("utf-8", "ignore")[:room].decode("utf-8", "ignore").strip(_KEPT)
    return f"{text or 'unnamed'}{_MARK}{digest}"


def _is_stem(text: str) -> bool:
    return (
        bool(text)
        and text == text.strip(_KEPT)
        and not _OTHER.search(text)
        and unicodedata.is_normalized("NFC", text)
        and len(text.encode("utf-8", "surrogatepass")) <= LONGEST_STEM
    )


def require_file_name(name: str, what: str) -> str:
    """Return `name`, which is to be a file's name or a part of one.

    Args:
      name: E.g. a class's.
      what: What it is, for the sentence, e.g. "the class".

    Raises:
      UserError: No file can be called so everywhere.
    """
    if reason := _unfit(name):
        raise UserError(f"{what} '{printable(shortened(name, 60))}' {reason}: rename it.")
    return name


def _unfit(name: str) -> str:
    try:
        size = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        return "is not UTF-8"
    if not name.strip() or name in (".", ".."):
        return "cannot be the name of a file"
    if "/" in name or "\\" in name:
        return "holds a separator of folders"
    if printable(name) != name:
        return "holds a character that nobody sees"
    if size > LONGEST_NAME:
        return f"has {size} bytes, more than the {LONGEST_NAME} of a file's name"
    return ""
