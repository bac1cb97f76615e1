"""Where the learned vectors went: how far from the noun, and which words are near them now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from common.clip.tokenizer import Tokenizer
from common.clip.vocabulary import nearest_rows
from common.damage import cause
from common.errors import UserError
from common.evaluation.tables import markdown_table

NEAREST = 5  # words reported of each vector
_SHOWN = 5  # Classes of a printed table, and vectors of each; a run's result holds them all.


@dataclass(frozen=True)
class Drift:
    """What became of one learned vector.

    Attributes:
      classname: Its class.
      word: What prompts call the class.
      number: Which of the class's n vectors.
      norm: Its length.
      distance, cosine_to_start: Between it and the noun that it started as.
      nearest: Words of the vocabulary with their cosines, the largest first.
    """

    classname: str
    word: str
    number: int
    norm: float
    distance: float
    cosine_to_start: float
    nearest: Sequence[tuple[str, float]]


def drift(
    tokens: Float[np.ndarray, "k n d"],
    start: Float[np.ndarray, "n d"],
    table: Float[np.ndarray, "v d"],
    tokenizer: Tokenizer,
    classnames: Sequence[str],
    words: Sequence[str],
) -> tuple[Drift, ...]:
    """Follow every vector of K classes; `table` is the text tower's whole token table."""
    norm, distance, cosine = _moves(tokens, start)
    vectors = tokens.shape[1]
    nearest = nearest_words(
        tokens.reshape(-1, tokens.shape[-1]), table, tokenizer, np.repeat(words, vectors).tolist()
    )
    return tuple(
        Drift(
            classname=classnames[k],
            word=words[k],
            number=n,
            norm=float(norm[k, n]),
            distance=float(distance[k, n]),
            cosine_to_start=float(cosine[k, n]),
            nearest=nearest[k * vectors + n],
        )
        for k, n in np.ndindex(*norm.shape)
    )


def nearest_words(
    vectors: Float[np.ndarray, "b d"],
    table: Float[np.ndarray, "v d"],
    tokenizer: Tokenizer,
    words: Sequence[str],
    count: int = NEAREST,
) -> list[tuple[tuple[str, float], ...]]:
    """Return the words whose embeddings have the largest cosine with each vector, and the cosines.

    Args:
      vectors: In the space of the token table.
      table: The text tower's token embeddings; rows past the vocabulary are not words.
      tokenizer: Says which word a row is.
      words: The word that each vector goes by, which is left out where the vocabulary has it. So
        are the marks of a text's start and end.
      count: Words per vector.
    """
    ends = (tokenizer.bos, tokenizer.eos)
    marks = {tokenizer.word(token) for token in ends if token is not None}
    ids, cosines = nearest_rows(vectors, table[: tokenizer.vocab_size], count + 1 + len(marks))
    nearest = []
    for word, row, values in zip(words, ids, cosines, strict=True):
        names = (tokenizer.word(int(token)) for token in row)
        left_out = {*marks, word}
        pairs = [(n, float(v)) for n, v in zip(names, values, strict=True) if n not in left_out]
        nearest.append(tuple(pairs[:count]))
    return nearest


def mean_drift(
    tokens: Float[np.ndarray, "k n d"], start: Float[np.ndarray, "n d"]
) -> dict[str, float]:
    """Return norm, distance to the start and cosine with it: means over all vectors."""
    names = ("norm", "distance", "cosine_to_start")
    return {
        f"drift/{name}": float(values.mean())
        for name, values in zip(names, _moves(tokens, start), strict=True)
    }


def _moves(
    tokens: Float[np.ndarray, "k n d"], start: Float[np.ndarray, "n d"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    norm = np.linalg.norm(tokens, axis=-1)
    cosine = (tokens * start).sum(-1) / (norm * np.linalg.norm(start, axis=-1))
    return norm, np.linalg.norm(tokens - start, axis=-1), cosine


def drift_table(tokens: Sequence[Mapping[str, Any]]) -> str:
    """Return a table with a row per vector, numbered where a class has several; of many, some.

    Args:
      tokens: Each a `Drift`, as a result file holds it.

    Raises:
      UserError: A result file that somebody edited holds something else.
    """
    try:
        several = any(token["number"] for token in tokens)
        classes = list(dict.fromkeys(token["classname"] for token in tokens))[:_SHOWN]
        shown = [x for x in tokens if x["classname"] in classes and x["number"] < _SHOWN]
        rows = [_row(token, several) for token in shown]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"the result's tokens are not as a run writes them ({cause(error)}): train again, "
            "with a new --workdir."
        ) from error
    header = ["class", "word", *(["vector"] if several else ())]
    header += ["norm", "distance", "cosine to start", "nearest words (cosine)"]
    hidden = len(tokens) - len(rows)
    return markdown_table(header, rows) + (f"\n... and {hidden} more" if hidden else "")


def _row(token: Mapping[str, Any], several: bool) -> list[str]:
    return [
        str(token["classname"]),
        str(token["word"]),
        *([str(token["number"] + 1)] if several else ()),
        *(f"{token[name]:.3f}" for name in ("norm", "distance", "cosine_to_start")),
        ", ".join(f"{word} {cosine:.2f}" for word, cosine in token["nearest"]),
    ]
