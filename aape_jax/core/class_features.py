"""What stands for the classes: the features `w_c` that a classifier is made of."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from jaxtyping import Float

from common.evaluation.classification import normalise

Features = Float[np.ndarray, "k p"]

TEMPLATE = "template"


class Texts(Protocol):
    """Two features of each class, both of unit length.

    Attributes:
      classes: Of the filled template.
      means: The mean of the class's sentences (CuPL).
    """

    classes: Features

    @property
    def means(self) -> Features:
        """See above."""


CLASS_FEATURES: dict[str, Callable[[Texts], Features]] = {
    TEMPLATE: lambda texts: texts.classes,
    "sentences": lambda texts: texts.means,
    "mix": lambda texts: normalise(texts.classes + texts.means),
}
"""By `classifier.classes`, what is made of them."""
