"""The tokens of a run that is not finished, as its newest checkpoint has them."""

import numpy as np
from ml_collections import ConfigDict

from common.errors import UserError
from common.paths import AnyPath
from common.training.unfinished import read_unfinished
from mcti_jax.formats import LearnedToken
from mcti_jax.saving import MODEL, TEXT_ENCODER, learned_tokens, noted_widths
from mcti_jax.starts import first_vectors, learned_before


def unfinished_tokens(workdir: AnyPath, config: ConfigDict) -> list[LearnedToken]:
    """Return the tokens of a run's newest checkpoint, as `save` would write them there.

    Raises:
      UserError: There is no checkpoint, or it is of an older version.
    """
    run = read_unfinished(workdir)
    classnames = run.notes.get("classnames")
    rows = run.trainable.get("tokens")
    if not classnames or rows is None:
        raise UserError(
            f"the checkpoints of {workdir} do not say what their tokens are called, as those of "
            "older versions: run the training command again to its end."
        )
    model, text = (run.fingerprints.get(name, "") for name in (MODEL, TEXT_ENCODER))
    # Runs without denoising named the whole model before the text encoder had a name.
    fingerprint = model if config.alpha else text or model
    learned = run.notes.get("learned", list(range(len(classnames))))
    kept, widths = {}, noted_widths(run.notes)
    if len(learned) < len(classnames):
        known = learned_before(config, classnames, widths or rows.shape[-1:], model, text)
        kept = {number: known[number] for number in range(len(classnames)) if number not in learned}
    vectors = first_vectors(kept, np.zeros((len(classnames), *rows.shape[1:])))
    vectors[learned] = rows[: len(learned)]  # The rows of the other variants lie behind them.
    return learned_tokens(config, vectors, classnames, fingerprint, run.step, kept, widths)
