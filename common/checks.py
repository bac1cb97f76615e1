"""Checks of a config's fields: numbers within bounds, names out of a table."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from ml_collections import ConfigDict

from common.choices import check_choice
from common.errors import UserError
from common.text import quoted
from common.values import flatten


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`; `low` itself is left out where `above` says so."""

    low: int | float = -math.inf
    high: int | float = math.inf
    above: bool = False

    def holds(self, value: Any) -> bool:
        """Return whether `value` is in the range; infinity and NaN are not."""
        if not isinstance(value, Real) or isinstance(value, bool):
            return False
        low = value > self.low if self.above else value >= self.low
        return bool(low and value <= self.high and abs(value) < math.inf)

    def __str__(self) -> str:
        ends = math.isfinite(self.high)
        if self.above:
            return f"a number above {self.low}" + (f" and up to {self.high}" if ends else "")
        if math.isfinite(self.low):
            span = f"from {self.low} to {self.high}" if ends else f"of at least {self.low}"
            return f"a number {span}"
        return f"a number up to {self.high}" if ends else "a finite number"


Ranges = Mapping[str, Range]
"""Bounds of fields by their dotted names."""

POSITIVE = Range(0, above=True)


def check_number(name: str, value: Any, allowed: Range) -> None:
    """Refuse a value that is not a number of a range.

    Raises:
      UserError: It names the value and the range.
    """
    if not allowed.holds(value):
        raise UserError(f"{name}={quoted(value)} is out of range: give {allowed}.")


def check_whole(name: str, value: Any, allowed: Range) -> None:
    """Refuse a value that is not a whole number of a range.

    Raises:
      UserError: It names the value, and the range where the value is a number.
    """
    if not isinstance(value, Integral):
        raise UserError(f"{name}={quoted(value)} is not a whole number.")
    check_number(name, value, allowed)


def check_ranges(config: ConfigDict, ranges: Ranges, group: str = "") -> None:
    """Refuse numbers of a config that are out of their bounds, or not finite.

    For example `check_ranges(config, {"batch": Range(1), "momentum": Range(0, 1)})`. A field that
    the config lacks is passed over; of a tuple every value is checked.

    Args:
      config: The run's, or a group of it.
      ranges: By the names of fields in it.
      group: What stands ahead of the names in a sentence, e.g. "loss.".

    Raises:
      UserError: One is out of its bounds.
    """
    for name, value in _values(config, ranges):
        check_number(group + name, value, ranges[name])


def check_choices(
    config: ConfigDict, choices: Mapping[str, Iterable[str]], group: str = ""
) -> None:
    """Refuse names in a config that are in no table; the arguments are as of `check_ranges`.

    Raises:
      UserError: A name is in no table.
    """
    for name, value in _values(config, choices):
        check_choice(group + name, value, choices[name])


@dataclass(frozen=True)
class Unread:
    """Fields that nothing reads beside some values of others.

    Attributes:
      beside: The others, each with these values; "json:FILE" counts as "json".
      names: Of the fields.
      remedy: What would have them read.
    """

    beside: Mapping[str, tuple[Any, ...]]
    names: tuple[str, ...]
    remedy: str


def check_unread(config: ConfigDict, defaults: ConfigDict, table: Iterable[Unread]) -> None:
    """Refuse fields that were changed and that nothing reads.

    Args:
      config: The run's, complete.
      defaults: What fields are where they were not changed.
      table: Which fields nothing reads.

    Raises:
      UserError: It names the first such field, and what it would take.
    """
    usual, given = flatten(defaults), flatten(config)
    for row in table:
        if not all(_kind(given[other]) in values for other, values in row.beside.items()):
            continue
        for name in row.names:
            if given[name] != usual[name]:
                others = " and ".join(f"{other}={given[other]}" for other in row.beside)
                raise UserError(
                    f"{name}={given[name]} changes nothing with {others}: leave it out, or give "
                    f"{row.remedy}."
                )


def _kind(value: Any) -> Any:
    return value.partition(":")[0] if isinstance(value, str) else value


def _values(config: ConfigDict, names: Iterable[str]) -> Iterator[tuple[str, Any]]:
    fields = flatten(config)
    for name in names:
        if name in fields:
            value = fields[name]
            values = value if isinstance(value, tuple | list) else (value,)
            yield from ((name, item) for item in values)
