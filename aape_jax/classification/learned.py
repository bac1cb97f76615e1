"""The classes that a run learned, as its data set says them, and their features by its config."""

from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

from aape_jax.classification.class_texts import encode_bank, open_classes, say_untold
from common.clip import CLIP
from common.data import open_dataset
from common.precision import product_precision
from common.protocols.class_parts import class_parts


def learned_classnames(config: ConfigDict) -> tuple[str, ...]:
    """Return the names of the classes that a run learned.

    Raises:
      UserError: Its data set cannot be opened.
    """
    names = open_dataset(config.data, holdout=config.holdout).classnames
    learned = next(iter(class_parts(config.subsample, len(names)).values()))
    return tuple(names[row] for row in learned)


def class_features(
    config: ConfigDict, clip: CLIP, names: Sequence[str]
) -> Float[np.ndarray, "k p"]:
    """Return CLIP's features of classes: of what `classifier.classes` says.

    Where that is sentences, they are those in the run's `prompts.source`.

    Raises:
      UserError: A class is not in the run's file of features.
    """
    kind, cache = config.classifier.classes, Path(config.cache).expanduser()
    with jax.default_matmul_precision(product_precision(config.dtype)):
        texts = open_classes(config, config.data, names, (kind,))
        say_untold(config, (kind,), names, texts.told)
        return encode_bank(texts, clip, cache).features(kind)
