"""Where the captions of a result's rows come from: what is shown of images, or other captions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Array, Float, PyTree

from aape_jax.captioning.captioner import Captioner
from aape_jax.captioning.features import ImageFeatures
from aape_jax.core.head import parameter_count
from common.spread import deal

NEAREST = "nearest_caption"
"""The row of training captions: of each test image the one that CLIP finds nearest."""

NEAREST_AT_ONCE = 64
"""Images that are compared with all training captions at a time."""


@dataclass(frozen=True)
class VisualPrefix:
    """How a language model is shown images.

    Attributes:
      show: Features of images to the embeddings in front of the text, `[b s d]`.
      parameters: How many were learned for it.
    """

    show: Callable[[ImageFeatures], Array]
    parameters: int


def show_rows(captioner: Captioner, trainable: PyTree) -> dict[str, VisualPrefix]:
    """Return how each row of a result shows images."""
    visual = trainable["visual"]["map"]

    def row(name: str) -> VisualPrefix:
        head = trainable.get(name, {}).get("head", {})

        def show(images: ImageFeatures) -> Array:
            return captioner.run_tokens(name, visual, head, *deal((images.grid, images.x), visual))

        return VisualPrefix(show, parameter_count((visual, head)))

    return {name: row(name) for name in captioner.names}


@dataclass(frozen=True, eq=False)
class KnownCaptions:
    """Training captions, to be found by images.

    Attributes:
      texts: In the order of the images.
      features: Of unit length.
    """

    texts: Sequence[str]
    features: Float[np.ndarray, "m p"]

    def nearest(self, x: Float[np.ndarray, "b p"]) -> list[str]:
        """Return the caption that is nearest to each image."""
        blocks = np.split(x, range(NEAREST_AT_ONCE, len(x), NEAREST_AT_ONCE))
        rows = [np.argmax(block @ self.features.T, axis=1) for block in blocks]
        return [self.texts[row] for row in np.concatenate(rows)]
