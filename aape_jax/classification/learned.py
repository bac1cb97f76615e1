"""The classes that a run learned, as its data set says them, and their features by its config."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

from aape_jax.classification.class_texts import encode_bank, open_classes, say_untold
from common.clip import CLIP
from common.precision import computing
from common.protocols.class_parts import learned_classes
from common.protocols.models import cache_of


def learned_classnames(config: ConfigDict, names: Sequence[str]) -> tuple[str, ...]:
    """Return which of a data set's classes its run learned."""
    return tuple(names[row] for row in learned_classes(config.subsample, len(names)))


def class_features(
    config: ConfigDict, clip: CLIP, names: Sequence[str]
) -> Float[np.ndarray, "k p"]:
    """Return CLIP's features of classes: of what `classifier.classes` says.

    Where that is sentences, they are those in the run's `prompts.source`.

    Raises:
      UserError: A class is not in the run's file of features.
    """
    kind = config.classifier.classes
    with computing(config.dtype):
        texts = open_classes(config, config.data, names, (kind,))
        say_untold(config, (kind,), names, texts.told)
        return encode_bank(texts, clip, cache_of(config)).features(kind)
