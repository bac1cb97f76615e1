"""What the processes of a run tell each other during passes; alone, a process tells itself."""

import io
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import jax
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import Bool
from orbax.checkpoint import multihost

from common.errors import UserError

Arrays = dict[str, np.ndarray]

PIECE = 2**26
"""Bytes that are sent at once; they pass through every device's memory."""

_PATIENCE = 1000 * 60 * 60 * 24  # Milliseconds. A process that dies ends the others' wait.
_meetings = itertools.count()  # All processes meet equally often, and no name serves twice.


@contextmanager
def agree(what: str) -> Iterator[None]:
    """Wait for all processes behind the body; where one fails, all of them fail.

    Otherwise the others would wait in vain for the one that stopped.

    Args:
      what: The body's name in the error of the others.

    Raises:
      UserError: Another process failed. What failed here is raised as it is.
    """
    failure = None
    try:
        yield
    except Exception as error:
        failure = error
    # Collectives give up after some seconds; this waits as long as the slowest one works.
    meet = multihost.get_barrier_sync_fn()
    meet(key=f"{what} {next(_meetings)}", timeout_ms=_PATIENCE)
    failed = _gather(np.array([failure is not None]))
    if failure is not None:
        raise failure
    if failed.any():
        number = int(failed[:, 0].argmax())
        raise UserError(f"{what}: process {number} failed; its own output says why.")


def held_by(parts: Sequence[Arrays | None]) -> Bool[np.ndarray, "processes parts"]:
    """Return which process has which part."""
    return _gather(np.array([part is not None for part in parts], bool))


def everywhere(parts: Sequence[Arrays | None]) -> list[Arrays]:
    """Return all parts on all processes; each must be held by one of them at least."""
    held, whole = held_by(parts), list(parts)
    for number in np.flatnonzero(~held.all(axis=0)):
        whole[number] = _send(whole[number], source=int(held[:, number].argmax()))
    return whole


def _send(part: Arrays | None, source: int) -> Arrays:
    """Return the part that process `source` holds, on every process."""
    mine = jax.process_index() == source
    content = np.frombuffer(_to_bytes(part) if mine else b"", np.uint8)
    length = int(multihost_utils.broadcast_one_to_all(np.uint32(len(content)), mine))
    received = []
    for start in range(0, length, PIECE):
        size = min(PIECE, length - start)
        piece = content[start : start + size] if mine else np.zeros(size, np.uint8)
        received.append(np.asarray(multihost_utils.broadcast_one_to_all(piece, mine)))
    with np.load(io.BytesIO(np.concatenate(received).tobytes()), allow_pickle=False) as archive:
        return dict(archive)


def _to_bytes(arrays: Arrays) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _gather(flags: Bool[np.ndarray, "n"]) -> Bool[np.ndarray, "processes n"]:
    return multihost_utils.process_allgather(flags).astype(bool)
