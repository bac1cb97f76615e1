"""Data sets that a program holds in memory, by the strings that name them there."""

from typing import Any

from common.errors import UserError

KIND = "memory"

_KEPT: dict[str, Any] = {}


def keep(name: str, dataset: Any) -> str:
    """Keep a data set while this program runs, and return the string that opens it."""
    _KEPT[name] = dataset
    return f"{KIND}:{name}"


def kept(name: str) -> Any:
    """Return the data set that is kept under a name.

    Raises:
      UserError: This program keeps none of that name.
    """
    if name not in _KEPT:
        raise UserError(
            f"{KIND}:{name} is not in this program's memory: make it anew with Dataset.from_arrays "
            "and ask for its `spec`, or name photos on a disk."
        )
    return _KEPT[name]
