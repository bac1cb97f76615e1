"""What the saved tokens of a run come to, on its own photos or others of the same classes."""

import functools
from dataclasses import replace

import numpy as np
from ml_collections import ConfigDict

from common.data import OpenedDataset, few_shot
from common.data.further import open_further
from common.errors import UserError
from common.paths import AnyPath
from common.progress import say
from common.training import Evaluation
from common.training.unfinished import say_changed_data, say_changed_models
from mcti_jax.assembly import check_options
from mcti_jax.baselines import baseline_scores
from mcti_jax.evaluation import evaluate
from mcti_jax.fingerprints import model_fingerprints
from mcti_jax.formats import in_class_order, require_usable, require_vectors
from mcti_jax.material import with_models
from mcti_jax.options import check_values, shots_of
from mcti_jax.photos import open_own
from mcti_jax.readers import readers_of, widths_of
from mcti_jax.saving import read_run_classes
from mcti_jax.starts import nouns


def measure_tokens(config: ConfigDict, workdir: AnyPath, data: str | None, name: str) -> Evaluation:
    """Measure the tokens in a run's folder on test photos.

    Which token belongs to which class stands in the token files (`class`, `class_index`), not in
    their names or order. No photo is encoded by Stable Diffusion.

    Args:
      config: The run's.
      workdir: The run's folder.
      data: Whose photos; None for the run's own.
      name: Of the row in the table.

    Raises:
      UserError: The tokens or the photos are not of these models and classes.
    """
    learned = read_run_classes(workdir)
    check_values(config)
    opened = (measured_on(config, data), ()) if data else open_own(config)
    tokens = in_class_order(learned, opened[0].classnames)
    require_vectors(tokens, config.vectors, f" in {workdir}")
    if data and not len(opened[0].test):
        raise UserError(
            f"--data={data} has no test photos: put them into PATH/test/class/ beside "
            "PATH/train/class/."
        )
    material = with_models(config, *opened)
    if not data:
        say_changed_data(workdir, lambda: {"data": material.train.fingerprint})
    sd, clip = material.sd, material.clip
    now = {**model_fingerprints(config, sd), "clip": clip.fingerprint}
    say_changed_models(workdir, now)
    require_usable(learned, widths_of(sd), config.model)
    check_options(config, sd)
    start = nouns(config, readers_of(sd))
    return evaluate(config, material, {name: tokens}, start, baseline_scores(material))


def measured_on(config: ConfigDict, data: str) -> OpenedDataset:
    """Return another data set's test photos, with the run's own photos as the training part.

    These are what the baselines learn from. Where they are not at hand there is no training part.

    Raises:
      UserError: The other data set cannot be opened.
    """

    @functools.cache
    def opened() -> OpenedDataset:
        own, shots = open_own(config)[0], shots_of(config)
        # Chosen under the run's own labels, on which the choice depends.
        return replace(own, train=few_shot(own.train, shots, config.shots_seed)) if shots else own

    other = open_further(data, lambda: opened().train, config.holdout)
    nothing = replace(other, train=other.train.take([]), val=None)
    try:
        own = opened()
    except UserError as error:
        say(f"The photos that the run learned from are not at hand, so no baseline is: {error}")
        return nothing
    label_of = {name: label for label, name in enumerate(other.classnames)}
    if set(own.classnames) != set(label_of):  # Refused with the names of the tokens.
        return nothing
    if own.classnames == other.classnames:
        return replace(nothing, train=own.train)
    labels = np.array([label_of[name] for name in own.classnames])[own.train.labels]
    return replace(nothing, train=replace(own.train, labels=labels))
