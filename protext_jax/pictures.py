"""Features of the pictures that a run is measured on."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from common.clip import CLIP
from common.data import FeatureSplit, ImageSplit
from common.data.clip_features import image_features
from common.errors import UserError


def encode_pictures(
    clip: CLIP, split: ImageSplit | FeatureSplit, cache: Path
) -> Float[np.ndarray, "b p"]:
    """Return features of pictures, not normalised; a file of features brings its own.

    Raises:
      UserError: The features are of another width than this CLIP's.
    """
    require_width(clip, split)
    if isinstance(split, FeatureSplit):
        return split.features.astype(np.float32)
    return image_features(clip, split, cache)


def require_width(clip: CLIP, split: ImageSplit | FeatureSplit) -> None:
    """Refuse a file of features that are not this CLIP's.

    Raises:
      UserError: The features are of another width.
    """
    width = clip.config.text.projection
    if isinstance(split, FeatureSplit) and split.features.shape[1] != width:
        raise UserError(
            f"the features have width {split.features.shape[1]}, but those of this model "
            f"have {width}: take the features of this model, or the model of the features."
        )
