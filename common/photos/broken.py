"""Pictures that cannot be read: all of them are named before anything is computed."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np

from common.errors import UserError
from common.text import some

_NAMED = 10  # of many that are broken


class BrokenPicture(UserError):
    """A picture that cannot be read.

    Attributes:
      name: What people call it.
      reason: What is wrong.
    """

    def __init__(self, name: str, reason: object) -> None:
        super().__init__(f"the picture {name} cannot be read ({reason}): mend or remove it.")
        self.name, self.reason = name, str(reason)


class BrokenExamples(UserError):
    """Examples that cannot be loaded, all in one sentence.

    Attributes:
      errors: Of each, without repetitions.
    """

    def __init__(self, errors: Sequence[UserError]) -> None:
        self.errors = list({str(error): error for error in errors}.values())
        if len(self.errors) == 1:
            super().__init__(str(self.errors[0]))
            return
        shown = [
            f"{error.name} ({error.reason})" if isinstance(error, BrokenPicture) else str(error)
            for error in self.errors
        ]
        super().__init__(
            f"{len(shown)} pictures cannot be read: {some(shown, _NAMED, str)}: mend or remove "
            "them."
        )


def errors_of(load: Callable[[int], object], rows: Iterable[int]) -> list[UserError]:
    """Load examples and return the errors of those that cannot be loaded."""

    def tried(row: int) -> UserError | None:
        try:
            load(row)
        except UserError as error:
            return error
        return None

    with ThreadPoolExecutor() as pool:
        return [error for error in pool.map(tried, rows) if error is not None]


@contextmanager
def named_together(*splits: Any) -> Iterator[None]:
    """Look for broken photos in all of these `ImageSplit`s once the body finds one.

    A run encodes its splits one after another; whoever mends the first shall not wait for news
    of the next.

    Raises:
      BrokenExamples: As the body did; photos of all splits are named.
    """
    try:
        yield
    except BrokenExamples as error:
        photos = [split for split in splits if hasattr(split, "load")]  # Not features.
        others = [x for split in photos for x in errors_of(split.load, range(len(split)))]
        raise BrokenExamples([*error.errors, *others]) from None


def load_all(load: Callable[[int], np.ndarray], count: int) -> np.ndarray:
    """Load examples that are kept as they are.

    Raises:
      BrokenExamples: Some cannot be loaded; all of them are named.
    """
    try:
        with ThreadPoolExecutor() as pool:
            return np.stack(list(pool.map(load, range(count))))
    except UserError:
        raise BrokenExamples(errors_of(load, range(count))) from None
