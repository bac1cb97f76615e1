"""The questions that a run learns from, and the frozen tree that is made of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, PyTree

from aape_jax.datasets.question_set import QuestionSet, by_image
from aape_jax.vqa.features import QuestionFeatures
from common.errors import UserError


def blocks(image: Int[np.ndarray, "q"], size: int) -> Int[np.ndarray, "n size"]:
    """Group questions about one image by `size`; the last are filled up with the first.

    Args:
      image: Of each question.
      size: 1 leaves every question alone.
    """
    filled = [np.resize(rows, (-(-len(rows) // size), size)) for rows in by_image(image)]
    return np.concatenate(filled)


@dataclass(frozen=True, eq=False)
class TrainingQuestions:
    """The questions that are learned from.

    Attributes:
      rows: Of the data set's questions, `[q]`.
      image: Whose each is, `[q]`.
      answer: The number of each one's answer, `[q]`.
      asked: What `blocks` makes of them.
    """

    rows: Int[np.ndarray, "q"]
    image: Int[np.ndarray, "q"]
    answer: Int[np.ndarray, "q"]
    asked: Int[np.ndarray, "n size"]


def training_questions(
    source: QuestionSet, answers: Sequence[str], per_image: int
) -> TrainingQuestions:
    """Return the questions whose most frequent answer is among those to choose from.

    Raises:
      UserError: There are none.
    """
    known = {answer: number for number, answer in enumerate(answers)}
    wanted = [max(texts, key=texts.count) for texts in source.answers]
    kept = np.array([row for row, answer in enumerate(wanted) if answer in known], int)
    if not len(kept):
        raise UserError(
            f"the {len(answers)} answers to choose from answer no training question: raise answers."
        )
    image = source.image[kept].astype(np.int32)
    answer = np.array([known[wanted[row]] for row in kept], np.int32)
    return TrainingQuestions(kept, image, answer, blocks(image, per_image).astype(np.int32))


def to_learn(train: QuestionFeatures, known: TrainingQuestions) -> PyTree:
    """Return the frozen tree: the questions that are learned from, with the features of all."""
    teacher = {} if train.captions is None else {"captions": train.captions, "mask": train.mask}
    return {
        "seen": train.seen,
        "questions": train.questions,
        "image": known.image,
        "text": train.text[known.rows],
        "answer": known.answer,
        "asked": known.asked,
        **teacher,
    }
