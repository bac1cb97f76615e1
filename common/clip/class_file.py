"""A classifier as one file: features of class names, for any pipeline of the same CLIP."""

import json
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from common.paths import AnyPath
from common.weights.files import write_tensors

KEY = "class_embeddings"


def write_class_features(
    path: AnyPath,
    features: Float[np.ndarray, "k p"],
    classnames: Sequence[str],
    metadata: Mapping[str, str],
) -> None:
    """Write features and, as JSON in the metadata, the names of their rows.

    A classifier is `image_features @ class_embeddings.T`.

    Args:
      path: The safetensors file.
      features: Of unit length, or shorter where the classifier means it so.
      classnames: One for each row.
      metadata: What else the file's header is to say.
    """
    told = {**metadata, "classes": json.dumps(list(classnames)), "format": "class embeddings"}
    write_tensors(path, {KEY: features}, told)
