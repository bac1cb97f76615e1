"""What a run leaves of its tokens: one `LearnedToken` a class, with where it comes from."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

from common.errors import UserError
from common.paths import AnyPath
from mcti_jax.formats import LearnedToken, read_tokens, token_words
from mcti_jax.widths import Widths

TOKENS = "tokens"
"""The folder in a run's folder."""

MODEL, TEXT_ENCODER = "model", "text encoder"
"""Of the fingerprints of a run: what tokens are learned in, without denoising the latter alone."""


_WIDTHS = "text encoders"


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
        which = {"class": name, "class_index": index}
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
    if not folder.is_dir() and is_unfinished(workdir):
        raise UserError(
            f"{workdir} is not finished: train it on, or have the tokens of its newest "
            f"checkpoint written by python -m mcti_jax.export --workdir={workdir}."
        )
    return read_tokens(folder)
