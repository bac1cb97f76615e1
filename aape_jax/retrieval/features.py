"""Images with captions of their own, encoded: what `open_caption_set` reads, or a file of features,
`features:FILE.npz`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from aape_jax.core.texts import encode_captions
from aape_jax.datasets.caption_set import PARTS, CaptionSet, open_caption_set
from common.clip import CLIP
from common.data.checks import require_features, require_labels
from common.data.clip_features import image_features
from common.data.feature_files import read_feature_file
from common.data.places import local_path
from common.errors import UserError
from common.evaluation.classification import normalise
from common.photos.broken import named_together

ARRAYS = ("features", "captions", "owner")


@dataclass(frozen=True, eq=False)
class RetrievalFeatures:
    """Features of images and of their captions, unit length.

    Attributes:
      x: `[b p]`.
      captions: Of all images, in the same space, `[m p]`.
      owner: Whose each caption is, `[m]`.
      fingerprint: Of what they were made from.
    """

    x: Float[np.ndarray, "b p"]
    captions: Float[np.ndarray, "m q"]
    owner: Int[np.ndarray, "m"]
    fingerprint: str

    def __post_init__(self):
        if not len(self.x):
            raise UserError("there are no images with captions: add some.")
        counts = np.bincount(self.owner, minlength=len(self.x))
        if not counts.all():
            raise UserError(
                f"image number {int(np.argmin(counts))} has no caption: add one or leave the "
                "image out."
            )
        if self.x.shape[1] != self.captions.shape[1]:
            raise UserError(
                f"the image features have width {self.x.shape[1]} and the captions "
                f"{self.captions.shape[1]}: take both from one model."
            )

    @property
    def counts(self) -> tuple[int, int]:
        """How many images there are, and how many captions."""
        return len(self.x), len(self.captions)


def open_retrieval_set(spec: str, model: str) -> dict[str, CaptionSet | RetrievalFeatures]:
    """Open the parts "train" and "test" of a captioned data set.

    Raises:
      UserError: The string names none, an image has no caption, or there is no model.
    """
    kind, _, where = spec.partition(":")
    if kind == "features":
        return _read_features(local_path(where))
    texts = open_caption_set(spec)
    if not model:
        raise UserError(
            f"model='' cannot encode {spec!r}: give data=features:FILE.npz, or train with a model."
        )
    return texts


def width_of(part: CaptionSet | RetrievalFeatures, clip: CLIP | None) -> int:
    """Return the width of a part's features, present or to come."""
    return part.x.shape[1] if isinstance(part, RetrievalFeatures) else clip.config.text.projection


def encode_retrieval_set(
    parts: Mapping[str, CaptionSet | RetrievalFeatures], clip: CLIP | None, cache: Path
) -> dict[str, RetrievalFeatures]:
    """Return the features of all parts.

    Raises:
      UserError: Photos are broken; all of them are named.
    """
    sets = [part for part in parts.values() if isinstance(part, CaptionSet)]
    with named_together(*(part.pictures for part in sets)):
        return {
            name: encode(part, clip, cache) if isinstance(part, CaptionSet) else part
            for name, part in parts.items()
        }


def encode(texts: CaptionSet, clip: CLIP, cache: Path) -> RetrievalFeatures:
    """Return the features of pictures and captions."""
    x = normalise(image_features(clip, texts.pictures, cache))
    return RetrievalFeatures(x, *encode_captions(texts.captions, clip, cache), texts.fingerprint)


def _read_features(file: Path) -> dict[str, RetrievalFeatures]:
    """Read `PART_features [N,p]`, `PART_captions [M,p]` and `PART_owner [M]` of both parts."""
    arrays = read_feature_file(file)
    wanted = {part: [f"{part}_{name}" for name in ARRAYS] for part in PARTS}
    if missing := [name for names in wanted.values() for name in names if name not in arrays]:
        raise UserError(f"the feature file {file} holds no array {missing[0]!r}: add it.")
    parts = {part: _features_of(file, part, arrays, names) for part, names in wanted.items()}
    train, test = (part.x.shape[1] for part in parts.values())
    if train != test:
        raise UserError(
            f"train_features of {file} have width {train} and test_features {test}: take both "
            "from one model."
        )
    return parts


def _features_of(
    file: Path, part: str, arrays: Mapping[str, np.ndarray], wanted: Sequence[str]
) -> RetrievalFeatures:
    owner = arrays[wanted[2]]
    x, texts = (require_features(arrays[name], f"{name} of {file}") for name in wanted[:2])
    if owner.shape != texts.shape[:1]:
        raise UserError(
            f"{part}_owner {owner.shape} of {file} must name an image of each of the {len(texts)} "
            "captions: write one number for each."
        )
    owner = require_labels(owner, len(x), f"{part}_owner of {file}", "images")
    made_from = hashlib.sha256(x.tobytes() + texts.tobytes() + arrays[wanted[2]].tobytes())
    return RetrievalFeatures(normalise(x), normalise(texts), owner, made_from.hexdigest()[:16])
