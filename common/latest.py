"""What was computed last, for callers that ask for the same again and again."""

from collections.abc import Callable, Hashable
from typing import Any


class Latest:
    """The value of the key that was asked for last, such as the classifier of some names."""

    def __init__(self) -> None:
        self._held: tuple[Hashable, Any] | None = None

    def get(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """Return the value of `key`, which is computed unless it was asked for last."""
        if self._held is None or self._held[0] != key:
            self._held = key, compute()
        return self._held[1]
