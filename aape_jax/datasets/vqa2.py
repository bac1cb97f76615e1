"""VQA v2's files as they are downloaded (visualqa.org), with COCO's photos beside them.

    FOLDER/v2_OpenEnded_mscoco_{train,val}2014_questions.json
    FOLDER/v2_mscoco_{train,val}2014_annotations.json
    FOLDER/{train,val}2014/COCO_{train,val}2014_000000000009.jpg
    FOLDER/captions_train2014.json    COCO's, to distil from; may be absent

What is called test here is VQA's validation part, whose answers are public.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aape_jax.datasets.coco_files import (
    REMEDY,
    Entries,
    captions_in,
    entries,
    photos,
    require_once,
    require_there,
)
from aape_jax.datasets.question_set import QuestionSet
from common.data.places import is_file, local_path
from common.errors import UserError
from common.files import read_json

PARTS = {"train": "train2014", "test": "val2014"}


def read_vqa2(where: str, part: str) -> QuestionSet:
    """Return the part "train" or "test" of the folder `where`.

    Raises:
      UserError: A file is missing or damaged, a question has no answers, a photo is absent.
    """
    folder, name = local_path(where), PARTS[part]
    require_there(file for split in PARTS.values() for file in _files(folder, split))
    file, answers = _files(folder, name)
    questions = _entries(file, "questions", ("question_id", "image_id", "question"))
    numbers, pictures = questions.numbers("question_id"), questions.numbers("image_id")
    annotations = _entries(answers, "annotations", ("question_id", "answer_type", "answers"))
    answered, kinds = annotations.numbers("question_id"), annotations.texts("answer_type")
    require_once(numbers, "question", file)
    require_once(answered, "question", answers)
    row_of = {number: row for row, number in enumerate(answered)}
    if unknown := [number for number in numbers if number not in row_of]:
        raise UserError(
            f"question {unknown[0]} of {file} has no answers in {answers}: download both again."
        )
    images = {number: row for row, number in enumerate(sorted(set(pictures)))}
    paths = [folder / name / f"COCO_{name}_{number:012d}.jpg" for number in images]
    captions_file = folder / f"captions_{name}.json"
    has_captions = part == "train" and is_file(captions_file)
    captions = captions_in(read_json(captions_file, REMEDY), captions_file) if has_captions else {}
    rows = [row_of[number] for number in numbers]
    return QuestionSet(
        pictures=photos(paths, file),
        captions=tuple(captions.get(number, ()) for number in images),
        texts=tuple(questions.texts("question")),
        image=np.array([images[number] for number in pictures]),
        answers=tuple(_people(annotations.rows[row], answers) for row in rows),
        kinds=tuple(kinds[row] for row in rows),
    )


def _entries(file: Path, name: str, fields: Sequence[str]) -> Entries:
    return entries(read_json(file, REMEDY), file, name, fields)


def _files(folder: Path, name: str) -> tuple[Path, Path]:
    """Return the questions and the answers of a part."""
    return (
        folder / f"v2_OpenEnded_mscoco_{name}_questions.json",
        folder / f"v2_mscoco_{name}_annotations.json",
    )


def _people(entry: dict[str, Any], file: Path) -> tuple[str, ...]:
    """Return people's answers to a question."""
    try:
        answers = tuple(person["answer"] for person in entry["answers"])
    except (KeyError, TypeError):
        answers = (None,)
    if not all(isinstance(answer, str) for answer in answers):
        raise UserError(
            f"the answers of question {entry['question_id']} in {file} are not a list of objects "
            "with a text 'answer': download it again."
        )
    return answers
