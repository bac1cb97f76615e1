"""What lies in a folder of photos and is not read: the machines' own files, and the others."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from common.text import counted

# Made by systems, editors and synchronisers; whatever is hidden is passed over as well.
_DROPPINGS = frozenset(
    (
        *("__macosx", "@eadir", "#recycle", "$recycle.bin", "lost+found", "__pycache__"),
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "system volume information"),
    )
)


CAPTION = "caption"
"""What a text beside a photo of the same name is called."""


@dataclass(frozen=True)
class PassedOver:
    """What a source holds beside what is read of it.

    Attributes:
      what: One of them, e.g. ".heic file".
      count: How many.
      example: The first.
      reason: Why, or what to do.
      many: Several of them, if an s is not all that is added.
    """

    what: str
    count: int
    example: str
    reason: str
    many: str = ""

    @property
    def counted(self) -> str:
        """How many of what, and why."""
        return f"{counted(self.count, self.what, self.many)} ({self.reason})"

    def __str__(self) -> str:
        return f"{self.counted}, e.g. {self.example}"


def is_dropping(name: str) -> bool:
    """Return whether a file of this name is hidden or the system's own: nobody misses it."""
    return name.startswith(".") or name.lower() in _DROPPINGS


def in_droppings(path: PurePath) -> bool:
    """Return whether any part of a path is such a name, see `is_dropping`."""
    return any(is_dropping(part) for part in path.parts)


def merged(entries: Iterable[PassedOver]) -> tuple[PassedOver, ...]:
    """Return one entry for each kind and reason."""
    kinds: dict[tuple[str, str], PassedOver] = {}
    for entry in entries:
        key = entry.what, entry.reason
        known = kinds.get(key)
        kinds[key] = replace(known, count=known.count + entry.count) if known else entry
    return tuple(kinds.values())


def listed(passed_over: Sequence[PassedOver], read: Collection[str] = ()) -> str:
    """Return all entries on one line, but for those that are read after all; may be empty."""
    return "; ".join(str(entry) for entry in passed_over if entry.what not in read)
