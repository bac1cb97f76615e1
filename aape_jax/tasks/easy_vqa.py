"""easy-VQA's layout, as its repository ships it (github.com/vzhou842/easy-VQA).

PART/questions.json holds [[question, answer, image], ...]; the pictures are PART/images/NUMBER.png
or lie in one images.zip.
"""

import json
import zipfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from aape_jax.tasks.question_texts import Texts, split_of
from common.data.photos import EncodedPhoto, Picture, photo_file
from common.errors import UserError


def read_easy_vqa(where: str, part: str) -> Texts:
    """The part "train" or "test" of the folder `where`.

    Raises:
      UserError: a file is missing or damaged.
    """
    folder = Path(where).expanduser()
    found = sorted(folder.rglob(f"{part}/questions.json"))
    if not found:
        raise UserError(f"{where!r} holds no {part}/questions.json: give easy-VQA's folder.")
    asked = _read(found[0])
    numbers = sorted({number for _, _, number in asked})
    rows = {number: row for row, number in enumerate(numbers)}
    return Texts(
        pictures=split_of(_numbered_pictures(folder, found[0].parent, numbers), part),
        captions=((),) * len(numbers),
        texts=tuple(text for text, _, _ in asked),
        image=np.array([rows[number] for _, _, number in asked]),
        answers=tuple((answer,) for _, answer, _ in asked),
    )


def _read(file: Path) -> list[tuple[str, str, int]]:
    """Questions, answers and the numbers of their images."""
    try:
        return [
            (text, answer, int(number)) for text, answer, number in json.loads(file.read_text())
        ]
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"{file} cannot be read as [[question, answer, image], ...]: {error}."
        ) from error


def _numbered_pictures(folder: Path, part: Path, numbers: Sequence[int]) -> tuple[Picture, ...]:
    """The files images/NUMBER.png beside the questions, or in the archive that ships them."""
    if (part / "images").is_dir():
        return tuple(photo_file(part / "images" / f"{number}.png") for number in numbers)
    archive = folder / "images.zip"
    if not archive.is_file():
        raise UserError(f"there is neither {part / 'images'} nor {archive}: add one of them.")
    opened = zipfile.ZipFile(archive)
    names = {Path(name).parts[-3:]: name for name in opened.namelist()}
    wanted = [(part.name, "images", f"{number}.png") for number in numbers]
    if missing := [path for path in wanted if path not in names]:
        raise UserError(f"{archive} lacks {'/'.join(missing[0])}: download it again.")
    # The bytes are read at once, for an archive cannot be read by several threads.
    return tuple(
        EncodedPhoto(names[path], partial(bytes, opened.read(names[path]))) for path in wanted
    )
