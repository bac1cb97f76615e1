"""A classifier as one file: features of class names, for any pipeline of the same CLIP."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from common import strict_json
from common.clip.model import CLIP
from common.damage import DAMAGED
from common.errors import UserError
from common.finite import require_finite
from common.paths import AnyPath, on_disk
from common.weights.files import write_tensors
from common.weights.safetensors_file import read_safetensors

KEY = "class_embeddings"
NAME = "classes.safetensors"
"""The file in a published run, which has no data set to say its classes."""


@dataclass(frozen=True, eq=False)
class ClassFeatures:
    """What `write_class_features` wrote.

    Attributes:
      features: A row for each class.
      classnames: K names.
      metadata: What else the header says.
    """

    features: Float[np.ndarray, "k p"]
    classnames: tuple[str, ...]
    metadata: Mapping[str, str]

    def of(self, clip: CLIP) -> Float[np.ndarray, "k p"]:
        """Return the features, which only the CLIP that made them can use.

        Raises:
          UserError: The CLIP has other weights than the one that made them.
        """
        if self.metadata.get("fingerprint") != clip.fingerprint:
            raise UserError(
                f"the features of the classes are of another CLIP (weights "
                f"{self.metadata.get('fingerprint')}) than this one (weights {clip.fingerprint}): "
                "give the same model and dtype."
            )
        return self.features


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


def read_class_features(path: AnyPath) -> ClassFeatures:
    """Read a file of class features.

    Raises:
      UserError: It is missing, damaged or something else.
    """
    with on_disk(path) as copy:
        arrays, metadata = read_safetensors(copy)
    features = arrays.get(KEY)
    try:
        names = strict_json.parse(metadata.get("classes", ""))
    except DAMAGED:
        names = None
    named = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if features is None or features.ndim != 2 or not named or len(names) != len(features):
        raise UserError(f"{path} holds no class features with their names: write it again.")
    require_finite({KEY: features}, f"{path}", "write it again")
    return ClassFeatures(np.array(features, np.float32), tuple(names), metadata)


def read_published_classes(run: AnyPath) -> ClassFeatures | None:
    """Return the class features that a published run brings along; None of any other run."""
    file = run / NAME
    return read_class_features(file) if file.exists() else None
