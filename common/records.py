"""Typed, bounded reading of the fields of JSON objects."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

from common.errors import UserError
from common.text import quoted

REQUIRED: Any = object()
"""The default of a field that must be there."""

LARGEST = 2**31 - 1
"""What a whole number may be, where a reader names no bound of its own."""

_LONGEST = 100_000  # letters of a text, where a reader names no bound of its own

_TRUTH = {"true": True, "false": False}


@dataclass(frozen=True)
class Record:
    """The fields of one JSON object.

    A field that is absent or null has its default. Where the meaning is plain, a value of
    another type is taken: 3.0 and "3" are whole numbers, "0.5" is a number. Whatever else does
    not fit is refused by file, field and value.

    Attributes:
      content: What JSON holds.
      where: What holds it, such as the file's name in quotes.
      remedy: Ends the sentence that refuses a value.
      place: Of this object in the file, such as "images[3]."; before the name of a field.
    """

    content: Mapping[str, Any]
    where: str
    remedy: str
    place: str = ""

    def integer(self, name: str, low: int = 0, high: int = LARGEST, default: Any = REQUIRED) -> Any:
        """Return a whole number from `low` to `high`."""
        kind = f"a whole number from {low} to {high}"
        return self._field(name, kind, default, lambda value: _integer(value, low, high))

    def number(
        self,
        name: str,
        low: float | int = -math.inf,
        high: float | int = math.inf,
        default: Any = REQUIRED,
    ) -> Any:
        """Return a finite number from `low` to `high`."""
        kind = f"a number{_bounds(low, high)}"
        return self._field(name, kind, default, lambda value: _number(value, low, high))

    def text(
        self,
        name: str,
        choices: Sequence[str] | None = None,
        longest: int = _LONGEST,
        default: Any = REQUIRED,
    ) -> Any:
        """Return a string: one of `choices`, if there are any."""
        kind = f"one of {', '.join(choices)}" if choices else f"a text of up to {longest} letters"
        return self._field(name, kind, default, lambda value: _text(value, choices, longest))

    def boolean(self, name: str, default: Any = REQUIRED) -> Any:
        """Return true or false; 1, 0, "true" and "false" say so as well."""
        return self._field(name, "true or false", default, _boolean)

    def numbers(
        self,
        name: str,
        length: int | None = None,
        low: float | int = -math.inf,
        high: float | int = math.inf,
        default: Any = REQUIRED,
    ) -> Any:
        """Return a tuple of finite numbers from `low` to `high`; `length` of them, if given."""
        kind = f"a list of {_many(length)}numbers{_bounds(low, high)}"
        return self._items(name, kind, length, default, lambda value: _number(value, low, high))

    def integers(
        self,
        name: str,
        length: int | None = None,
        low: int = 0,
        high: int = LARGEST,
        default: Any = REQUIRED,
    ) -> Any:
        """Return a tuple of whole numbers from `low` to `high`; `length` of them, if given."""
        kind = f"a list of {_many(length)}whole numbers from {low} to {high}"
        return self._items(name, kind, length, default, lambda value: _integer(value, low, high))

    def strings(self, name: str, default: Any = REQUIRED) -> Any:
        """Return a tuple of strings."""
        kind = f"a list of texts of up to {_LONGEST} letters"
        return self._items(name, kind, None, default, lambda value: _text(value, None, _LONGEST))

    def record(self, name: str, default: Any = REQUIRED) -> "Record":
        """Return the object in a field; `default`, such as `{}`, is read alike."""
        content = self._field(name, "an object", default, lambda value: _of(dict, value))
        return Record(content, self.where, self.remedy, f"{self.place}{name}.")

    def records(self, name: str, default: Any = REQUIRED) -> Iterator["Record"]:
        """Yield the objects of a list, each as it is asked for; `default`, such as (), is alike."""
        for number, content in enumerate(self._field(name, "a list", default, _listed)):
            place = f"{self.place}{name}[{number}]"
            if not isinstance(content, dict):
                raise UserError(self._refusal(place, content, "an object"))
            yield Record(content, self.where, self.remedy, f"{place}.")

    def refuse(self, name: str, kind: str) -> NoReturn:
        """Refuse the value of a field, which is not `kind`."""
        raise UserError(self._refusal(f"{self.place}{name}", self.content.get(name), kind))

    def _items(
        self,
        name: str,
        kind: str,
        length: int | None,
        default: Any,
        read: Callable[[Any], Any],
    ) -> Any:
        return self._field(name, kind, default, partial(_tuple_of, read, length))

    def _field(self, name: str, kind: str, default: Any, read: Callable[[Any], Any]) -> Any:
        value = self.content.get(name)
        if value is None:
            if default is REQUIRED:
                raise UserError(f"{self.where} lacks {self.place}{name}, {kind}: {self.remedy}.")
            return default
        try:
            return read(value)
        # What is not a number, too large for one, or of a type without any.
        except (ValueError, TypeError, OverflowError):
            raise UserError(self._refusal(f"{self.place}{name}", value, kind)) from None

    def _refusal(self, place: str, value: Any, kind: str) -> str:
        return f"{place}={quoted(value, 60)} in {self.where} is not {kind}: {self.remedy}."


def _integer(value: Any, low: int, high: int) -> int:
    number = int(value) if isinstance(value, str) else value
    whole = isinstance(number, int | float) and not isinstance(number, bool)
    if not whole or not low <= number <= high or number != int(number):
        raise ValueError
    return int(number)


def _number(value: Any, low: float | int, high: float | int) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    number = float(value)
    if not math.isfinite(number) or not low <= number <= high:
        raise ValueError
    return number


def _text(value: Any, choices: Sequence[str] | None, longest: int) -> str:
    if len(_of(str, value)) > longest or (choices and value not in choices):
        raise ValueError
    return value


def _boolean(value: Any) -> bool:
    if isinstance(value, str):
        return _TRUTH[value.lower()] if value.lower() in _TRUTH else _of(bool, value)
    return bool(value) if value in (0, 1) else _of(bool, value)


def _tuple_of(read: Callable[[Any], Any], length: int | None, value: Any) -> tuple:
    items = _listed(value)
    if length not in (None, len(items)):
        raise ValueError
    return tuple(map(read, items))


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, tuple) else _of(list, value)


def _of(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError
    return value


def _many(length: int | None) -> str:
    return "" if length is None else f"{length} "


def _bounds(low: float | int, high: float | int) -> str:
    if math.isfinite(low) and math.isfinite(high):
        return f" from {low} to {high}"
    if math.isfinite(low):
        return f" from {low} on"
    return f" up to {high}" if math.isfinite(high) else ""
