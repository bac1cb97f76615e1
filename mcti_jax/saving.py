"""What a run leaves of its tokens: one `LearnedToken` a class, with where it comes from."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

from common.errors import UserError
from common.paths import AnyPath
from mcti_jax.formats import LearnedToken, read_tokens, token_words

TEMPLATE_SET = "textual_inversion"
"""Of the prompts that tokens are learned in: a key of `common.data.templates.TEMPLATES`."""

TOKENS = "tokens"
"""The folder in a run's folder."""


def learned_in(config: ConfigDict) -> str:
    """Return what tokens are learned in, as fingerprints name it: without denoising, text alone."""
    return "model" if config.alpha else "text encoder"


def learned_tokens(
    config: ConfigDict,
    vectors: Float[np.ndarray, "k n d"],
    classnames: Sequence[str],
    fingerprint: str,
    step: int,
) -> list[LearnedToken]:
    """Name the vectors of K classes, in the order of the classes.

    Args:
      config: The run's.
      vectors: Of the run's own variant.
      classnames: K names.
      fingerprint: Of what they were learned in: see `learned_in`.
      step: Updates made.
    """
    shared = {
        "base_model": config.model,
        "fingerprint": fingerprint,
        "pool": config.pool,
        "templates": TEMPLATE_SET,
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
        facts = {"class": name, "class_index": index, **shared}
        metadata = {key: str(value) for key, value in facts.items()}
        tokens.append(LearnedToken(word, np.asarray(vector, np.float32), metadata))
    return tokens


def is_unfinished(workdir: AnyPath) -> bool:
    """Return whether a run has begun here and has not come to its end."""
    return (workdir / "checkpoints").is_dir() and not (workdir / "result.json").exists()


def unfinished_tokens(workdir: AnyPath, config: ConfigDict) -> list[LearnedToken]:
    """Return the tokens of a run's newest checkpoint, as `save` would write them there.

    Raises:
      UserError: There is no checkpoint, or it is of an older version.
    """
    # Checkpoints take seconds to import, and only runs that are not finished need them.
    from common.training.unfinished import read_unfinished

    run = read_unfinished(workdir)
    classnames = run.notes.get("classnames")
    rows = run.trainable.get("tokens")
    if not classnames or rows is None:
        raise UserError(
            f"the checkpoints of {workdir} do not say what their tokens are called, as those of "
            "older versions: run the training command again to its end."
        )
    first = rows[: len(classnames)]  # The rows of the other variants lie behind them.
    # Runs without denoising named the whole model before the text encoder had a name.
    fingerprints = {"text encoder": run.fingerprints.get("model", ""), **run.fingerprints}
    fingerprint = fingerprints.get(learned_in(config), "")
    return learned_tokens(config, first, classnames, fingerprint, run.step)


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
