"""Names out of a table, and the one sentence that refuses another."""

from collections.abc import Iterable
from typing import Any

from common.errors import UserError
from common.text import quoted


def check_choice(name: str, value: Any, choices: Iterable[Any]) -> None:
    """Refuse a name that is not one of `choices`.

    Args:
      name: Of the field.
      value: Its value.
      choices: What it may be.

    Raises:
      UserError: It says what they are.
    """
    if value not in (known := tuple(choices)):
        raise UserError(f"{name}={quoted(value)} is unknown; choose one of {', '.join(known)}.")
