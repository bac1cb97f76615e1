"""Names out of a table, and the one sentence that refuses another."""

from collections.abc import Iterable
from typing import Any

from common.errors import UserError
from common.text import quoted

UNKNOWN, NOT_ONE = "is unknown; choose one of", "is not one of"


def check_choice(name: str, value: Any, choices: Iterable[Any], phrase: str = UNKNOWN) -> None:
    """Refuse a name that is not one of `choices`.

    Args:
      name: Of the field.
      value: Its value.
      choices: What it may be.
      phrase: What stands between the value and the choices.

    Raises:
      UserError: it says what they are.
    """
    if value not in (known := tuple(choices)):
        raise UserError(f"{name}={quoted(value)} {phrase} {', '.join(known)}.")
