"""What lies in a folder of photos and is not read: the machines' own files, and the others."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

# Made by systems, editors and synchronisers; whatever is hidden is passed over as well.
_DROPPINGS = frozenset(
    (
        *("__macosx", "@eadir", "#recycle", "$recycle.bin", "lost+found", "__pycache__"),
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "system volume information"),
    )
)


@dataclass(frozen=True)
class PassedOver:
    """What a source holds beside what is read of it.

    Attributes:
      what: In the plural, e.g. ".heic files".
      count: How many.
      example: The first.
      reason: Why, or what to do.
    """

    what: str
    count: int
    example: str
    reason: str

    def __str__(self) -> str:
        return f"{self.count} {self.what} ({self.reason}), e.g. {self.example}"


def is_dropping(name: str) -> bool:
    """Return whether a machine made what is called so, or it is hidden: nobody misses it."""
    return name.startswith(".") or name.lower() in _DROPPINGS


def in_droppings(path: PurePath) -> bool:
    """Return whether a part of a path is such a name."""
    return any(is_dropping(part) for part in path.parts)


def merged(entries: Iterable[PassedOver]) -> tuple[PassedOver, ...]:
    """Return one entry for each kind and reason."""
    kinds: dict[tuple[str, str], PassedOver] = {}
    for entry in entries:
        key = entry.what, entry.reason
        known = kinds.get(key)
        kinds[key] = replace(known, count=known.count + entry.count) if known else entry
    return tuple(kinds.values())


def listed(passed_over: Sequence[PassedOver]) -> str:
    """Return all entries on one line; empty if there are none."""
    return "; ".join(map(str, passed_over))
