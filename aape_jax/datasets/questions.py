"""Images with questions, as strings name them: `pocket:questions`, `easy_vqa:FOLDER`,
`vqa2:FOLDER`.
"""

from collections.abc import Callable, Mapping

import numpy as np

from aape_jax.datasets.caption_set import PARTS, POCKET_SIZES, pocket_scenes
from aape_jax.datasets.easy_vqa import read_easy_vqa
from aape_jax.datasets.question_set import QuestionSet, split_of
from aape_jax.datasets.vqa2 import read_vqa2
from common.errors import UserError
from common.pocket.captions import captions, questions
from common.pocket.datasets import ScenePhoto


def read_questions(spec: str) -> dict[str, QuestionSet]:
    """Return the parts "train" and "test" of a data set of questions.

    Raises:
      UserError: The string names none, or its files are not in order.
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


def _pocket(where: str, part: str) -> QuestionSet:
    if where != "questions":
        raise UserError(f"there is no set of questions 'pocket:{where}': write pocket:questions.")
    scenes = pocket_scenes(part)
    pairs = [(row, question) for row, scene in enumerate(scenes) for question in questions(scene)]
    return QuestionSet(
        pictures=split_of([ScenePhoto(scene) for scene in scenes], part),
        captions=tuple(captions(scene) for scene in scenes),
        texts=tuple(question.text for _, question in pairs),
        image=np.array([row for row, _ in pairs]),
        answers=tuple((question.answer,) for _, question in pairs),
    )


OPENERS: Mapping[str, Callable[[str, str], QuestionSet]] = {
    "pocket": _pocket,
    "easy_vqa": read_easy_vqa,
    "vqa2": read_vqa2,
}
