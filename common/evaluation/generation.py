"""How well generated pictures fit their class, their text and each other, by CLIP features.

Each function takes features as CLIP projects them, normalised or not, and gives one number per
class, NaN where a class has too few pictures to say. `mean_over_classes` sums up.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from common.evaluation.classification import classification, nearest_by_cosine, normalise


@dataclass(frozen=True, eq=False)
class LabelledFeatures:
    """Features of pictures and the class of each."""

    features: Float[np.ndarray, "b d"]
    labels: Int[np.ndarray, "b"]

    def of_class(self, label: int) -> Float[np.ndarray, "r d"]:
        """The normalised features of one class."""
        return normalise(self.features[self.labels == label])
