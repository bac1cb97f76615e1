"""Data sets of tensorflow-datasets, read without TensorFlow."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from common.data.dataset import Dataset
from common.data.parts import dataset_of_parts
from common.data.splits import ImageSplit
from common.errors import UserError
from common.photos.photo import EncodedPhoto

PARTS = {"train": "train", "validation": "val", "test": "test"}
"""As tensorflow-datasets calls them, and as they are called here."""


def open_tfds(name: str, holdout: int | None) -> Dataset:
    """Open an image classification set through `tfds.data_source`.

    Pictures stay encoded until they are needed. The parts are what `dataset_of_parts` makes of
    them.
    The set is looked for in `TFDS_DATA_DIR`, and prepared there if it is absent.

    Raises:
      UserError: tensorflow-datasets is not installed or cannot provide the set without
        TensorFlow, or the set is not labelled pictures.
    """
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise UserError(
            f"tfds:{name} needs tensorflow-datasets: pip install tensorflow-datasets array_record."
        ) from error

    def sources(**options: Any) -> dict[str, Sequence]:
        try:
            return tfds.data_source(name, **options)
        except Exception as error:  # The library raises many types, some of them its own.
            raise UserError(
                f"tensorflow-datasets cannot provide {name!r} ({error}): check the name, or "
                "prepare the set once with its own tools as file_format='array_record'."
            ) from error

    # Opened twice: only the set itself knows which of its features is the picture.
    features = next(iter(sources().values())).dataset_info.features
    image_key = _key(name, features, tfds.features.Image, "image")
    label_key = _key(name, features, tfds.features.ClassLabel, "label")
    encoded = sources(decoders={image_key: tfds.decode.SkipDecoding()})
    if "train" not in encoded:
        raise UserError(f"tfds:{name} has no train part (it has {', '.join(encoded)}).")
    parts = {
        part: _split(f"tfds:{name}/{published}", encoded[published], image_key, label_key)
        for published, part in PARTS.items()
        if published in encoded
    }
    return dataset_of_parts(name, f"tfds:{name}", tuple(features[label_key].names), parts, holdout)


def _key(name: str, features: Any, kind: type, usual: str) -> str:
    """Return the only feature of a kind, or of several the one of the usual name."""
    keys = [key for key, feature in features.items() if isinstance(feature, kind)]
    if usual in keys:
        return usual
    if len(keys) != 1:
        raise UserError(
            f"tfds:{name} has {len(keys)} features of type {kind.__name__} and none of them is "
            f"called {usual!r}: choose another set."
        )
    return keys[0]


def _split(name: str, source: Sequence, image_key: str, label_key: str) -> ImageSplit:
    names = tuple(f"{name}/{row}" for row in range(len(source)))
    labels = np.asarray([source[row][label_key] for row in range(len(source))])
    if labels.dtype.kind not in "iu" and len(labels):
        raise UserError(f"the labels of {name} are {labels.dtype}, not integers: take another set.")
    return ImageSplit(
        labels=labels.astype(np.int64),
        names=names,
        pictures=tuple(
            EncodedPhoto(name, partial(_encoded, source, row, image_key))
            for row, name in enumerate(names)
        ),
    )


def _encoded(source: Sequence, row: int, image_key: str) -> bytes:
    return source[row][image_key]
