"""Images with their captions as a language model meets them: grids, features and tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from common.clip import CLIP
from common.data import ImageSplit
from common.data.clip_features import features_and_grids
from common.data.clip_texts import say_cut
from common.evaluation.classification import normalise
from common.language import LM
from common.photos.broken import named_together


@dataclass(frozen=True, eq=False)
class ImageFeatures:
    """Frozen features of images.

    Attributes:
      x: Unit length, `[b p]`.
      grid: The cells in front of the tower's pooling, `[b t c]`.
    """

    x: Float[np.ndarray, "b p"]
    grid: Float[np.ndarray, "b t c"]

    def take(self, rows: np.ndarray | slice) -> "ImageFeatures":
        """Return the given images."""
        return ImageFeatures(self.x[rows], self.grid[rows])


@dataclass(frozen=True)
class Tokens:
    """Texts as ids.

    Attributes:
      ids: Padded on the right, `[b n s]`.
      lengths: How many of each are real, the end token included; 0 where there is no text.
    """

    ids: Int[np.ndarray, "b n s"]
    lengths: Int[np.ndarray, "b n"]


def encode_images(
    parts: Mapping[str, ImageSplit], clip: CLIP, cache: Path
) -> dict[str, ImageFeatures]:
    """Return the features of some parts of a data set.

    Raises:
      UserError: Photos are broken; all of them are named.
    """

    def encode(pictures: ImageSplit) -> ImageFeatures:
        features, grid = features_and_grids(clip, pictures, cache)
        return ImageFeatures(normalise(features), grid)

    with named_together(*parts.values()):
        return {name: encode(pictures) for name, pictures in parts.items()}


def caption_tokens(
    lm: LM, captions: Sequence[Sequence[str]], longest: int, called: str = "caption"
) -> Tokens:
    """Return the tokens of captions after the words that ask for them, with the end token.

    What exceeds `longest` tokens is cut, and its end token with it; a line counts such captions.

    Args:
      lm: Whose tokenizer.
      captions: Of each image.
      longest: The most tokens of a caption, its end included.
      called: As the line calls one of them.
    """
    whole = [
        [[*lm.tokenizer.encode(f" {text.strip()}"), lm.config.eos] for text in texts]
        for texts in captions
    ]
    pairs = zip(*map(chain.from_iterable, (captions, whole)), strict=True)
    if cut := dict.fromkeys(text for text, ids in pairs if len(ids) > longest):
        say_cut(called, cut, f"lm.length={longest} tokens")
    rows = [[ids[:longest] for ids in row] for row in whole]
    lengths = np.zeros((len(rows), max(map(len, rows))), np.int32)
    width = max(len(ids) for row in rows for ids in row)
    ids = np.full((*lengths.shape, width), lm.config.eos, np.int32)
    for image, row in enumerate(rows):
        for number, text in enumerate(row):
            ids[image, number, : len(text)] = text
            lengths[image, number] = len(text)
    return Tokens(ids, lengths)
