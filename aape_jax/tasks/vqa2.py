"""VQA v2's files as they are downloaded (visualqa.org), with COCO's photos beside them.

    FOLDER/v2_OpenEnded_mscoco_{train,val}2014_questions.json
    FOLDER/v2_mscoco_{train,val}2014_annotations.json
    FOLDER/{train,val}2014/COCO_{train,val}2014_000000000009.jpg
    FOLDER/captions_train2014.json    COCO's, to distil from; may be absent

What is called test here is VQA's validation part, whose answers are public.
"""

from pathlib import Path
from typing import Any

import numpy as np

from aape_jax.tasks.coco_files import entries, photos, read_captions
from aape_jax.tasks.question_texts import Texts
from common.errors import UserError

PARTS = {"train": "train2014", "test": "val2014"}


def read_vqa2(where: str, part: str) -> Texts:
    """The part "train" or "test" of the folder `where`.

    Raises:
      UserError: a file is missing or damaged, a question has no answers, a photo is absent.
    """
    folder, name = Path(where).expanduser(), PARTS[part]
    file = folder / f"v2_OpenEnded_mscoco_{name}_questions.json"
    asked = entries(file, "questions", ("question_id", "image_id", "question"))
    answers = folder / f"v2_mscoco_{name}_annotations.json"
    fields = ("question_id", "answer_type", "answers")
    given = {entry["question_id"]: entry for entry in entries(answers, "annotations", fields)}
    unknown = [entry["question_id"] for entry in asked if entry["question_id"] not in given]
    if unknown:
        raise UserError(f"question {unknown[0]} of {file} has no answers in {answers}.")
    images = {number: row for row, number in enumerate(sorted({e["image_id"] for e in asked}))}
    paths = [folder / name / f"COCO_{name}_{number:012d}.jpg" for number in images]
    told = folder / f"captions_{name}.json"
    captions = read_captions(told) if part == "train" and told.is_file() else {}
    own = [given[entry["question_id"]] for entry in asked]
    return Texts(
        pictures=photos(paths, file),
        captions=tuple(captions.get(number, ()) for number in images),
        texts=tuple(entry["question"] for entry in asked),
        image=np.array([images[entry["image_id"]] for entry in asked]),
        answers=tuple(_people(entry, answers) for entry in own),
        kinds=tuple(entry["answer_type"] for entry in own),
    )


def _people(entry: dict[str, Any], file: Path) -> tuple[str, ...]:
    """What people answered to a question."""
    try:
        return tuple(each["answer"] for each in entry["answers"])
    except (KeyError, TypeError):
        raise UserError(
            f"the answers of question {entry['question_id']} in {file} are no list of objects with "
            "an 'answer': download it again."
        ) from None
