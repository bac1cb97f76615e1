"""What a run leaves of its tokens: one `LearnedToken` a class, with where it comes from."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

from common.errors import UserError
from common.files import read_record
from common.paths import AnyPath
from common.text import quoted
from mcti_jax.formats import LearnedToken, by_class_index, file_stem, read_tokens, token_words
from mcti_jax.widths import Widths

TOKENS = "tokens"
"""The folder in a run's folder."""

MODEL, TEXT_ENCODER = "model", "text encoder"
"""Of the fingerprints of a run: what tokens are learned in, without denoising the latter alone."""

_WIDTHS = "text encoders"
_SHOWN = 5


def learned_tokens(
    config: ConfigDict,
    vectors: Float[np.ndarray, "k n d"],
    classnames: Sequence[str],
    fingerprint: str,
    step: int,
    kept: Mapping[int, LearnedToken] | None = None,
    widths: Widths = (),
) -> list[LearnedToken]:
    """Name the vectors of K classes, in the order of the classes.

    Args:
      config: The run's.
      vectors: Of the run's own variant.
      classnames: K names.
      fingerprint: Of what they were learned in: the model, or without denoising its text encoder.
      step: Updates made.
      kept: Tokens of an earlier run, by the numbers of the classes that were not learned; they
        go on saying where they come from.
      widths: Of each text encoder's vectors; () stands for one encoder.
    """
    kept = kept or {}
    shared = {
        "base_model": config.model,
        "fingerprint": fingerprint,
        "pool": config.pool,
        "templates": config.templates,
        "step": step,
        "alpha": config.alpha,
        "gamma": config.gamma,
        "classification": config.classification,
        "logit_scale": config.logit_scale,
        "init_word": config.init_word,
    }
    rows = zip(token_words(classnames), classnames, vectors, strict=True)
    tokens = []
    for index, (word, name, vector) in enumerate(rows):
        which = {"class": name, "class_index": index, "class_count": len(classnames)}
        origin = kept[index].metadata if index in kept else shared
        facts = {**which, **origin, **which}
        metadata = {key: str(value) for key, value in facts.items()}
        tokens.append(LearnedToken(word, np.asarray(vector, np.float32), metadata, widths=widths))
    return tokens


def noted(widths: Widths) -> dict[str, list[int]]:
    """Return what the notes of a run's checkpoints say of its text encoders, where they are two."""
    return {_WIDTHS: list(widths)} if len(widths) > 1 else {}


def noted_widths(notes: Mapping[str, Any]) -> Widths:
    """Return the widths that notes tell; () stands for one text encoder."""
    return tuple(notes.get(_WIDTHS, ()))


def is_unfinished(workdir: AnyPath) -> bool:
    """Return whether a run has begun here and has not come to its end."""
    return (workdir / "checkpoints").is_dir() and not (workdir / "result.json").exists()


def read_run_tokens(workdir: AnyPath) -> list[LearnedToken]:
    """Return the tokens in a run's folder, finished or exported there.

    Raises:
      UserError: There are none; the sentence says how to get them.
    """
    folder = workdir / TOKENS
    if folder.is_dir():
        return read_tokens(folder)
    if is_unfinished(workdir):
        raise UserError(
            f"{workdir} is not finished: train it on, or have the tokens of its newest "
            f"checkpoint written by python -m mcti_jax.export --workdir={workdir}."
        )
    if (workdir / "result.json").exists():
        raise UserError(f"{workdir} lacks its folder {TOKENS}: {_remedy(workdir)}.")
    raise UserError(
        f"{str(workdir)!r} holds no learned tokens; train some first with "
        f"python -m mcti_jax.train --workdir={workdir}."
    )


def read_run_classes(workdir: AnyPath) -> list[LearnedToken]:
    """Return the tokens in a run's folder in the order of its classes, with none missing.

    Raises:
      UserError: As `read_run_tokens`; or the folder lacks the tokens of a class, or has those of
        another run, too.
    """
    tokens, folder = by_class_index(read_run_tokens(workdir)), workdir / TOKENS
    of_class: dict[int, list[str]] = {}
    for token in tokens:
        of_class.setdefault(int(token.metadata["class_index"]), []).append(token.token)
    for number, words in of_class.items():
        if len(words) > 1:
            raise UserError(
                f"{folder} has several tokens of class {number}, {', '.join(words)}: keep the "
                "run's own files alone."
            )
    files = _result_files(workdir)
    said = [int(x) for token in tokens if (x := token.metadata.get("class_count", "")).isdecimal()]
    count = max(max(of_class) + 1, len(files), *said)
    if count == len(tokens):
        return tokens
    missing = (files.get(n, f"class {n}") for n in range(count) if n not in of_class)
    named, more = ", ".join(islice(missing, _SHOWN)), count - len(tokens) - _SHOWN
    raise UserError(
        f"{folder} has the tokens of {len(tokens)} of {count} classes and lacks "
        f"{named}{f' and {more} more' if more > 0 else ''}: {_remedy(workdir)}."
    )


def _remedy(workdir: AnyPath) -> str:
    """Return how to get tokens that a run's folder lacks."""
    again = (
        f"give python -m mcti_jax.export --workdir={workdir}"
        if is_unfinished(workdir)
        else "give the command that trained it once more"
    )
    return f"copy them from where it was trained, or {again}, which writes them from a checkpoint"


def _result_files(workdir: AnyPath) -> dict[int, str]:
    """Return the names of token files and of their classes, by number, as a result tells them."""
    file = workdir / "result.json"
    if not file.exists():
        return {}
    rows = read_record(file).record("details", default={}).records("tokens", default=())
    # A row for each vector in each text encoder, whose name stands behind the word.
    classes = {row.text("word").partition(" ")[0]: row.text("classname") for row in rows}
    return {
        number: f"{file_stem(word)}.safetensors (class {number}, {quoted(name)})"
        for number, (word, name) in enumerate(classes.items())
    }
