"""Images, captions and questions, encoded."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from aape_jax.core.texts import by_class, encode_captions
from aape_jax.datasets.question_set import QuestionSet
from aape_jax.vqa.towers import Tower
from common.clip import CLIP
from common.data.clip_texts import say_cut, text_features
from common.evaluation.classification import normalise
from common.photos.broken import named_together


@dataclass(frozen=True, eq=False)
class QuestionFeatures:
    """What a run reads of images, captions and questions; features are of unit length.

    Attributes:
      source: What was encoded.
      seen: Of images, as the tower gives it: `[b p]` or `[b h w 3]`.
      captions: Of each image, padded, `[b n p]`; None where there are none.
      mask: Which of them there are, `[b n]`.
      questions: Of distinct questions, `[t p]`.
      text: The row of `questions` of each question, `[q]`.
    """

    source: QuestionSet
    seen: Float[np.ndarray, "b p"] | UInt8[np.ndarray, "b h w 3"]
    captions: Float[np.ndarray, "b n p"] | None
    mask: Bool[np.ndarray, "b n"] | None
    questions: Float[np.ndarray, "t p"]
    text: Int[np.ndarray, "q"]


def encode_questions(
    parts: Mapping[str, QuestionSet], clip: CLIP, tower: Tower, cache: Path
) -> dict[str, QuestionFeatures]:
    """Return the features of the parts of a data set of questions.

    Raises:
      UserError: Photos are broken; all of them are named.
    """
    with named_together(*(texts.pictures for texts in parts.values())):
        return {part: _encode(texts, clip, tower, cache) for part, texts in parts.items()}


def _encode(source: QuestionSet, clip: CLIP, tower: Tower, cache: Path) -> QuestionFeatures:
    distinct = {text: row for row, text in enumerate(dict.fromkeys(source.texts))}
    captions, mask = None, None
    if any(source.captions):
        encoded = encode_captions(source.captions, clip, cache)
        captions, mask = by_class(*encoded, len(source.captions))
    return QuestionFeatures(
        source=source,
        seen=tower.see(clip, source.pictures, cache),
        captions=captions,
        mask=mask,
        questions=normalise(
            text_features(clip, list(distinct), cache, partial(say_cut, "question"))
        ),
        text=np.array([distinct[text] for text in source.texts], np.int32),
    )
