"""Images with their captions as a language model meets them: grids, features and tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from aape_jax.core.texts import by_class, encode_captions
from aape_jax.datasets.caption_set import CaptionSet
from common.clip import CLIP
from common.data import ImageSplit
from common.data.clip_features import features_and_grids
from common.evaluation.classification import normalise
from common.language import LM
from common.photos.broken import named_together


@dataclass(frozen=True, eq=False)
class Views:
    """Frozen features of images.

    Attributes:
      x: Unit length, `[b p]`.
      grid: The cells in front of the tower's pooling, `[b t c]`.
    """

    x: Float[np.ndarray, "b p"]
    grid: Float[np.ndarray, "b t c"]

    def take(self, rows: np.ndarray | slice) -> "Views":
        """Return the given images."""
        return Views(self.x[rows], self.grid[rows])


@dataclass(frozen=True, eq=False)
class CaptioningFeatures:
    """Images and their captions; of one part of a data set.

    Attributes:
      texts: What was encoded.
      views: Of the images.
      captions: Features, unit length, padded, `[b n p]`.
      mask: Which of them there are, `[b n]`.
    """

    texts: CaptionSet
    views: Views
    captions: Float[np.ndarray, "b n p"]
    mask: Bool[np.ndarray, "b n"]


@dataclass(frozen=True)
class Tokens:
    """Texts as ids.

    Attributes:
      ids: Padded on the right, `[b n s]`.
      lengths: How many of each are real, the end token included; 0 where there is no text.
    """

    ids: Int[np.ndarray, "b n s"]
    lengths: Int[np.ndarray, "b n"]


def describe(
    parts: Mapping[str, CaptionSet], clip: CLIP, cache: Path
) -> dict[str, CaptioningFeatures]:
    """Return the features of the parts of a captioned data set.

    Raises:
      UserError: photos are broken; all of them are named.
    """
    with named_together(*(texts.pictures for texts in parts.values())):
        return {part: _describe(texts, clip, cache) for part, texts in parts.items()}


def see(clip: CLIP, pictures: ImageSplit, cache: Path) -> Views:
    """Encode some pictures with the image tower."""
    features, grid = features_and_grids(clip, pictures, cache)
    return Views(normalise(features), grid)


def grid_shape(clip: CLIP) -> tuple[int, int]:
    """Return the number of an image's cells, and their channels."""
    side = clip.config.vision.image_size
    pixels = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    variables = {"params": clip.params["vision"]}
    grid = jax.eval_shape(clip.image_tower.apply, variables, pixels).grid
    return grid.shape[1] * grid.shape[2], grid.shape[3]


def caption_tokens(lm: LM, captions: Sequence[Sequence[str]], longest: int) -> Tokens:
    """Return the tokens of captions after the words that ask for them, with the end token.

    What exceeds `longest` tokens is cut, and its end token with it.
    """
    rows = [
        [[*lm.tokenizer.encode(f" {text.strip()}"), lm.config.eos][:longest] for text in texts]
        for texts in captions
    ]
    lengths = np.zeros((len(rows), max(map(len, rows))), np.int32)
    width = max(len(ids) for row in rows for ids in row)
    ids = np.full((*lengths.shape, width), lm.config.eos, np.int32)
    for image, row in enumerate(rows):
        for number, text in enumerate(row):
            ids[image, number, : len(text)] = text
            lengths[image, number] = len(text)
    return Tokens(ids, lengths)


def _describe(texts: CaptionSet, clip: CLIP, cache: Path) -> CaptioningFeatures:
    captions, mask = by_class(*encode_captions(texts.captions, clip, cache), len(texts.captions))
    views = see(clip, texts.pictures, cache)
    return CaptioningFeatures(texts, views, captions.astype(np.float32), mask)
