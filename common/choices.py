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


def check_said(name: str, asked: Any, said: Iterable[Any]) -> None:
    """Refuse what a model is asked to be and its files deny; None asks for nothing.

    Args:
      name: Of the argument.
      asked: Its value.
      said: What the model's parts are, by its files.

    Raises:
      UserError: It says what they are.
    """
    if asked is not None and set(said) != {asked}:
        raise UserError(
            f"{name}={quoted(asked)} is not what the model's files say, "
            f"{' and '.join(sorted(set(said)))}: leave it out, or mend the files if they are wrong."
        )
