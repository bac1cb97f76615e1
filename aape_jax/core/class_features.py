"""What stands for the classes: the features `w_c` that a classifier is made of."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from common.evaluation.classification import normalise

Features = Float[np.ndarray, "k p"]

TEMPLATE = "template"

CLASS_FEATURES: dict[str, Callable[[Features, Features], Features]] = {
    TEMPLATE: lambda template, means: template,
    "sentences": lambda template, means: means,
    "mix": lambda template, means: normalise(template + means),
}
"""By `classifier.classes`, what is made of two features of each class, both of unit length: that of
the filled template, and the mean of the class's sentences (CuPL)."""
