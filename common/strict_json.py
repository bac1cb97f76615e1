"""JSON as the standard defines it: keys once, numbers finite, nesting and size bounded."""

import json
import math
import re
from collections import Counter
from functools import partial
from itertools import chain
from typing import Any

MOST_VALUES = 2**26
"""Values that a text may hold: each takes memory that its letters do not show."""
DEEPEST = 64
"""Lists and objects that may stand one in the other."""

_CONTAINERS = (dict, list)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse(text: str, repeated: list[str] | None = None, *, constants: bool = False) -> Any:
    """Return what a JSON text holds.

    Args:
      text: Of a whole file.
      repeated: If given, keys that an object names twice are added to it, and their last value
        counts, as with most programs.
      constants: Whether NaN and Infinity, which Python writes although JSON has neither, are
        taken; their reader has to refuse them where they make no sense.

    Raises:
      ValueError: The text is not JSON, names a key twice, or holds a number that is not finite,
        half of a letter, or too many or too deeply nested values.
      RecursionError: It is nested so deeply that it cannot be parsed.
    """
    if sum(map(text.count, ",[{")) > MOST_VALUES:
        raise ValueError(f"it holds more than {MOST_VALUES} values")
    content = json.loads(
        text,
        object_pairs_hook=partial(_record, repeated),
        parse_float=_finite,
        parse_constant=float if constants else _finite,
    )
    _require_shallow(content)
    if _SURROGATE.search(text):
        json.dumps(content, ensure_ascii=False).encode()
    return content


def dump(content: Any, indent: int | None = None) -> str:
    """Return content as JSON, with null for each number that is not finite."""
    try:
        return json.dumps(content, indent=indent, allow_nan=False)
    except ValueError:
        return json.dumps(_with_null(content), indent=indent, allow_nan=False)


def _record(repeated: list[str] | None, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
        if repeated is None:
            raise ValueError(f"it holds the key {twice[0]!r:.60} twice")
        repeated += twice
    return record


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"it holds {text[:30]}, which is not a finite number")
    return number


def _require_shallow(content: Any) -> None:
    level = [content] if isinstance(content, _CONTAINERS) else []
    for _ in range(DEEPEST):
        values = (x.values() if isinstance(x, dict) else x for x in level)
        level = [x for x in chain.from_iterable(values) if isinstance(x, _CONTAINERS)]
        if not level:
            return
    raise ValueError(f"its values are nested more than {DEEPEST} deep")


def _with_null(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _with_null(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_with_null(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
