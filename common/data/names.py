"""Names of files and classes."""

import re
import unicodedata

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
