"""Images with questions, as strings name them: `pocket:questions`, `easy_vqa:FOLDER`,
`vqa2:FOLDER`.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from aape_jax.bank import by_class
from aape_jax.tasks.caption_set import POCKET_SIZES, pocket_scenes
from aape_jax.tasks.easy_vqa import read_easy_vqa
from aape_jax.tasks.question_set import QuestionSet, split_of
from aape_jax.tasks.vqa2 import read_vqa2
from aape_jax.towers import Tower
from common.clip import CLIP
from common.data.clip_features import text_features
from common.errors import UserError
from common.evaluation.classification import normalise
from common.photos.broken import named_together
from common.pocket.captions import captions, questions
from common.pocket.datasets import ScenePhoto

PARTS = ("train", "test")


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
      UserError: photos are broken; all of them are named.
    """
    with named_together(*(texts.pictures for texts in parts.values())):
        return {part: _encode(texts, clip, tower, cache) for part, texts in parts.items()}


def read_questions(spec: str) -> dict[str, QuestionSet]:
    """Return the parts "train" and "test" of a data set of questions.

    Raises:
      UserError: the string names none, or its files are not in order.
    """
    kind, _, where = spec.partition(":")
    if kind not in OPENERS:
        raise UserError(
            f"data={spec!r} is not a data set of questions: write pocket:questions, "
            "easy_vqa:FOLDER or vqa2:FOLDER."
        )
    # The smaller part first.
    test, train = (OPENERS[kind](where, part) for part in reversed(PARTS))
    return {"train": train, "test": test}


def is_question_set(spec: str) -> bool:
    """Return whether a string means questions and not captions."""
    kind, _, where = spec.partition(":")
    return kind in OPENERS and not (kind == "pocket" and where in POCKET_SIZES)


def vocabulary(answers: Sequence[Sequence[str]], size: int) -> tuple[str, ...]:
    """Return the `size` most frequent answers, or all of them for 0; the most frequent first.

    Raises:
      UserError: `size` is negative.
    """
    if size < 0:
        raise UserError(f"answers={size} is negative: give a number, or 0 for all answers.")
    counts = Counter(answer for given in answers for answer in given)
    ranked = sorted(counts, key=lambda answer: (-counts[answer], answer))
    return tuple(ranked[: size or None])


def usual_answers(source: QuestionSet) -> dict[str, str]:
    """Return the most frequent answer to each question, whatever the image."""
    counts: dict[str, Counter[str]] = {}
    for text, given in zip(source.texts, source.answers, strict=True):
        counts.setdefault(text, Counter()).update(given)
    return {text: own.most_common(1)[0][0] for text, own in counts.items()}


def _encode(asked: QuestionSet, clip: CLIP, tower: Tower, cache: Path) -> QuestionFeatures:
    distinct = {text: row for row, text in enumerate(dict.fromkeys(asked.texts))}
    found, mask = None, None
    if any(asked.captions):
        flat = [caption for own in asked.captions for caption in own]
        owner = np.repeat(np.arange(len(asked.captions)), [len(own) for own in asked.captions])
        found, mask = by_class(text_features(clip, flat, cache), owner, len(asked.captions))
    return QuestionFeatures(
        source=asked,
        seen=tower.see(clip, asked.pictures, cache),
        captions=found,
        mask=mask,
        questions=normalise(text_features(clip, list(distinct), cache)),
        text=np.array([distinct[text] for text in asked.texts], np.int32),
    )


def _pocket(where: str, part: str) -> QuestionSet:
    if where != "questions":
        raise UserError(f"there is no set of questions 'pocket:{where}': write pocket:questions.")
    scenes = pocket_scenes(part)
    asked = [(row, question) for row, scene in enumerate(scenes) for question in questions(scene)]
    return QuestionSet(
        pictures=split_of([ScenePhoto(scene) for scene in scenes], part),
        captions=tuple(captions(scene) for scene in scenes),
        texts=tuple(question.text for _, question in asked),
        image=np.array([row for row, _ in asked]),
        answers=tuple((question.answer,) for _, question in asked),
    )


OPENERS: Mapping[str, Callable[[str, str], QuestionSet]] = {
    "pocket": _pocket,
    "easy_vqa": read_easy_vqa,
    "vqa2": read_vqa2,
}
