"""Long passes of a frozen encoder: in parts on disk, shared out over the processes of a run.

Every part is a file of its own that `cache.cached` writes as soon as it is computed, so a pass
that was killed goes on behind the parts that are finished.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
from jaxtyping import PyTree

from common.data.cache import ExpectedArrays, Key, cached, find
from common.data.exchange import Arrays, agree, everywhere, held_by
from common.encoding import Encoder, feature_pass
from common.files import remove_partial
from common.photos.broken import BrokenExamples, errors_of
from common.progress import Progress

A_DAY = 60.0 * 60 * 24
"""Seconds after which a file that is not whole was left by a run that is gone."""


def cached_pass(
    encode: Encoder,
    params: PyTree,
    load: Callable[[int], np.ndarray],
    count: int,
    *,
    names: Sequence[str],
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    batch_size: int,
    part: int,
    directory: Path | str,
    key: Callable[[range], Key],
    title: str,
    unit: str,
) -> Arrays:
    """Encode `count` examples, or read those that were encoded before.

    All processes of a run call it alike, and each returns the whole. What no process has on its
    disk is dealt out to all of them; what a process then lacks reaches it over the network. So
    `directory` may be shared by the hosts or be each host's own.

    The bytes do not depend on where a pass was interrupted, for every batch has the shape that
    it has in one go. They may depend on the number of devices, as `feature_pass` does.

    Args:
      encode, params, load, count, batch_size: As of `feature_pass`.
      names: Of the arrays that `encode` gives; each has files of its own.
      shapes: Of one example in each of them, where it is known: files with others are damaged.
      part: Examples in a file; a multiple of `batch_size`.
      directory: Of the files.
      key: Of the part that holds some rows; the array's name is added.
      title, unit: Of the progress bar.

    Raises:
      UserError: Examples cannot be loaded, by this process or another; all of this process's are
        named, and nothing more is encoded.
    """
    if part % batch_size:
        raise ValueError(f"part={part} must be a multiple of batch_size={batch_size}.")
    parts = [range(start, min(start + part, count)) for start in range(0, count, part)]
    files = [_Files(directory, key(rows), names, len(rows), shapes or {}) for rows in parts]
    contents = [file.read() for file in files]
    share = _share(contents)
    if share:
        remove_partial(Path(directory), seconds=A_DAY)
    total = sum(len(parts[number]) for number in share)
    done = 0

    bar = Progress(total, _titled(title), unit=unit, status="compiling…", show=bool(share))
    with agree(title), bar as progress:
        for number in share:

            def compute(rows: range = parts[number], before: int = done) -> Arrays:
                return feature_pass(
                    encode,
                    params,
                    load,
                    count,
                    rows=rows,
                    batch_size=batch_size,
                    progress=lambda n, _: progress.update(before + n),
                )

            try:
                contents[number] = files[number].fill(compute)
            except BrokenExamples as error:
                later = [row for other in share if other > number for row in parts[other]]
                raise BrokenExamples([*error.errors, *errors_of(load, later)]) from None
            done += len(parts[number])
            progress.update(done)
    whole = everywhere(contents)
    return {name: np.concatenate([arrays[name] for arrays in whole]) for name in whole[0]}


@dataclass(frozen=True)
class _Files:
    """The files of one part, an array in each."""

    directory: Path | str
    key: Key
    names: Sequence[str]
    rows: int
    shapes: Mapping[str, tuple[int, ...]]

    def read(self) -> Arrays | None:
        """Return all arrays, if all are there."""
        arrays: Arrays = {}
        for name in self.names:
            arrays |= find(self.directory, self._key(name), self._expected(name)) or {}
        return arrays if set(arrays) == set(self.names) else None

    def fill(self, compute: Callable[[], Arrays]) -> Arrays:
        """Compute the part, unless another run was faster, and write what is missing."""
        once = functools.cache(compute)
        arrays: Arrays = {}
        for name in self.names:
            key, expected = self._key(name), self._expected(name)
            arrays |= cached(self.directory, key, lambda name=name: {name: once()[name]}, expected)
        return arrays

    def _expected(self, name: str) -> ExpectedArrays:
        return ExpectedArrays(frozenset({name}), self.rows, self.shapes)

    def _key(self, name: str) -> Key:
        return {**self.key, "array": name}


def _share(parts: Sequence[Arrays | None]) -> list[int]:
    """Return the numbers of the parts that this process computes, of those that no process has."""
    missing = np.flatnonzero(~held_by(parts).any(axis=0))
    return missing[jax.process_index() :: jax.process_count()].tolist()


def _titled(title: str) -> str:
    others = jax.process_count() - 1
    return f"{title}, the first of {others + 1} shares" if others else title
