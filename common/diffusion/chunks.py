"""Prompts of any length and with weights, in chunks that each fill the text tower.

A chunk of CLIP's text tower has 75 tokens between a start and an end. The text states of the
chunks stand behind each other, and the U-Net attends to all of them, as in AUTOMATIC1111's web UI.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from common.diffusion.embedding import Piece, Vocabulary
from common.diffusion.weighted import weighted_spans
from common.errors import UserError

Chunk = list[Piece]

_MOVED, _OF = 20, 75
"""Tokens behind a comma, it included, that go to the next chunk; of so many in a chunk."""


def prompt_chunks(vocabulary: Vocabulary, prompt: str) -> list[Chunk]:
    """Return the chunks of a weighted prompt, at least one.

    A chunk ends at a BREAK, or where the next piece does not fit; what stands behind a comma
    near its end then goes to the next one, so that phrases stay together. A learned word is
    never divided.

    Raises:
      UserError: A learned word is unknown, of another width or longer than a chunk; or see
        `weighted_spans`.
    """
    chunks: list[Chunk] = []
    parts = weighted_spans(prompt)
    for number, spans in enumerate(parts, 1):
        pieces = (
            replace(piece, weight=span.weight)
            for span in spans
            for piece in vocabulary.pieces(span.text)
        )
        *full, rest = _filled(pieces, vocabulary)
        chunks += full
        if rest or number < len(parts) or not chunks:
            chunks.append(rest)
    return chunks


def chunk_weights(vocabulary: Vocabulary, chunk: Chunk) -> Float[np.ndarray, "s"]:
    """Return the weight of each position of a chunk; start, end and padding have 1."""
    weights = np.ones(vocabulary.tokenizer.length, np.float32)
    counts = [len(piece.vectors) for piece in chunk]
    weights[1 : 1 + sum(counts)] = np.repeat([piece.weight for piece in chunk], counts)
    return weights


def weigh(
    states: Float[np.ndarray, "s d"], weights: Float[np.ndarray, "s"]
) -> Float[np.ndarray, "s d"]:
    """Multiply the states of a chunk by the weights of its positions, and restore their mean."""
    if (weights == 1).all():
        return states
    plain = states.astype(np.float32)
    weighted = plain * weights[:, None]
    mean, disturbed = plain.mean(dtype=np.float64), weighted.mean(dtype=np.float64)
    factor = np.float32(mean / disturbed if disturbed else 1.0)
    return (weighted * factor).astype(states.dtype)


def _filled(pieces: Iterable[Piece], vocabulary: Vocabulary) -> Iterator[Chunk]:
    """Yield full chunks, then what remains, which may be empty."""
    comma = vocabulary.tokenizer.encode(",")
    chunk: Chunk = []
    phrase = 0  # the pieces up to the last comma
    for piece in pieces:
        _require_room(piece, vocabulary.room)
        is_comma = [piece.token] == comma
        is_full = _length(chunk) == vocabulary.room
        moved = chunk[phrase:]
        if is_full and not is_comma and phrase and _is_short(moved, vocabulary.room):
            yield chunk[:phrase]
            chunk, phrase = moved, 0
        if _length([*chunk, piece]) > vocabulary.room:
            yield chunk
            chunk, phrase = [], 0
        chunk.append(piece)
        if is_comma:
            phrase = len(chunk)
    yield chunk


def _is_short(moved: Chunk, room: int) -> bool:
    """Return whether what stands behind the last comma may be moved."""
    return _OF * (_length(moved) + 1) <= _MOVED * room


def _length(chunk: Chunk) -> int:
    return sum(len(piece.vectors) for piece in chunk)


def _require_room(piece: Piece, room: int) -> None:
    if len(piece.vectors) > room:
        raise UserError(
            f"{piece.word} has {len(piece.vectors)} vectors, and {room} fit into a chunk of this "
            "text tower: use a word of fewer."
        )
