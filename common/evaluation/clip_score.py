"""CLIPScore and RefCLIPScore: how well captions fit pictures, by CLIP features (arXiv 2104.08718).

Features are as CLIP projects them, normalised or not; the caption features are of
`PREFIX + caption`. Scores are comparable with published ones only with ViT-B/32.
"""

import numpy as np
from jaxtyping import Float, Int

from common.errors import UserError
from common.evaluation.classification import normalise

PREFIX = "A photo depicts "
WEIGHT = 2.5


def clip_scores(
    images: Float[np.ndarray, "b p"], captions: Float[np.ndarray, "b p"]
) -> Float[np.ndarray, "b"]:
    """Return the CLIPScore of each caption: 2.5 times the cosine with its image, at least 0."""
    cosines = np.sum(normalise(images) * normalise(captions), axis=1)
    return WEIGHT * np.maximum(cosines, 0)


def ref_clip_scores(
    images: Float[np.ndarray, "b p"],
    captions: Float[np.ndarray, "b p"],
    references: Float[np.ndarray, "r p"],
    owner: Int[np.ndarray, "r"],
) -> Float[np.ndarray, "b"]:
    """Return RefCLIPScore: the harmonic mean of CLIPScore and the largest cosine with a reference.

    Args:
      images, captions: As for `clip_scores`.
      references: Features of all reference captions, with `PREFIX`.
      owner: The row whose reference each is.

    Raises:
      UserError: A caption has no reference.
    """
    counts = np.bincount(owner, minlength=len(images))
    if not counts.all():
        raise UserError(f"picture number {int(np.argmin(counts))} has no reference caption.")
    cosines = np.sum(normalise(captions)[owner] * normalise(references), axis=1)
    nearest = np.full(len(images), -np.inf)
    np.maximum.at(nearest, owner, cosines)
    scores = clip_scores(images, captions)
    total = scores + nearest
    # As in the authors' script the cosine is not clamped; a sum of zero has no harmonic mean.
    return np.divide(2 * scores * nearest, total, out=np.zeros(len(images)), where=total != 0)
