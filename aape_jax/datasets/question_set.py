"""Questions about pictures as text, whatever layout they came in."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from common.data import ImageSplit
from common.errors import UserError
from common.photos.photo import Picture
from common.weights.fingerprint import text_digest


@dataclass(frozen=True)
class QuestionSet:
    """Pictures and what is asked about them; of one part of a data set.

    Attributes:
      pictures: Each once.
      captions: Of each picture; empty where a data set has none.
      texts: The questions.
      image: Whose each question is.
      answers: What people answered to each, one or several.
      kinds: Of each question, as the data set names them; empty where it names none.
    """

    pictures: ImageSplit
    captions: tuple[tuple[str, ...], ...]
    texts: tuple[str, ...]
    image: Int[np.ndarray, "q"]
    answers: tuple[tuple[str, ...], ...]
    kinds: tuple[str, ...] = ()

    def __post_init__(self):
        if any(self.captions) and not all(self.captions):
            name = self.pictures.names[self.captions.index(())]
            raise UserError(
                f"{name} has no caption and other images have some: add one, or leave the image "
                "or all captions out."
            )
        if not all(self.answers):
            text = self.texts[self.answers.index(())]
            raise UserError(f"the question {text!r} has no answers: leave it out.")

    @property
    def fingerprint(self) -> str:
        """16 hex characters that change with any picture or text, not with the device."""
        content = (self.captions, self.texts, self.image.tolist(), self.answers)
        return text_digest(self.pictures.fingerprint + json.dumps(content))


def split_of(pictures: Sequence[Picture], part: str) -> ImageSplit:
    """Return pictures without labels, which are named by their numbers."""
    names = tuple(f"{part}-{number}" for number in range(len(pictures)))
    return ImageSplit(np.arange(len(pictures)), names, tuple(pictures))


def by_image(image: Int[np.ndarray, "q"]) -> list[Int[np.ndarray, "own"]]:
    """Return the questions of each image that has any, in their order."""
    order = np.argsort(image, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(image[order])) + 1)
