"""easy-VQA's layout, as its repository ships it (github.com/vzhou842/easy-VQA).

PART/questions.json holds [[question, answer, image], ...]; the pictures are PART/images/NUMBER.png
or lie in one images.zip.
"""

import zipfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from aape_jax.datasets.coco_files import photos
from aape_jax.datasets.question_set import QuestionSet, split_of
from common.damage import DAMAGED, cause
from common.data.passed_over import in_droppings
from common.data.places import is_file, is_folder, local_path
from common.errors import UserError
from common.files import read_list
from common.photos.photo import LARGEST, EncodedPhoto, Picture
from common.text import quoted

_DIGITS = 18  # of the number of a picture


def read_easy_vqa(where: str, part: str) -> QuestionSet:
    """Return the part "train" or "test" of the folder `where`.

    Raises:
      UserError: A file is missing or damaged.
    """
    folder = local_path(where)
    # Both are looked for before any is read, for behind a part may lie an archive of pictures.
    files = {name: _questions(folder, name) for name in ("train", "test")}
    questions = _read(files[part])
    numbers = sorted({number for _, _, number in questions})
    rows = {number: row for row, number in enumerate(numbers)}
    return QuestionSet(
        pictures=split_of(_numbered_pictures(folder, files[part].parent, numbers), part),
        captions=((),) * len(numbers),
        texts=tuple(text for text, _, _ in questions),
        image=np.array([rows[number] for _, _, number in questions]),
        answers=tuple((answer,) for _, answer, _ in questions),
    )


def _questions(folder: Path, part: str) -> Path:
    listed = sorted(folder.rglob(f"{part}/questions.json"))
    matches = [path for path in listed if not in_droppings(path.relative_to(folder))]
    if not matches:
        raise UserError(f"{str(folder)!r} holds no {part}/questions.json: give easy-VQA's folder.")
    return matches[0]


def _read(file: Path) -> list[tuple[str, str, int]]:
    """Return questions, answers and the numbers of their images."""
    remedy = "give easy-VQA's [[question, answer, image], ...]"
    listed = read_list(file, remedy)
    if not listed:
        raise UserError(f"{file} holds no questions: {remedy}.")
    for number, row in enumerate(listed):
        match row:
            case [str(), str(), int(image)] if type(image) is int and image >= 0:
                continue
            case [str(), str(), str(image)] if image.isdecimal() and len(image) <= _DIGITS:
                continue
        raise UserError(
            f"{file} cannot be read as [[question, answer, image], ...]: entry number {number} is "
            f"{quoted(row, 30)}; {remedy}."
        )
    return [(text, answer, int(number)) for text, answer, number in listed]


def _numbered_pictures(folder: Path, part: Path, numbers: Sequence[int]) -> tuple[Picture, ...]:
    """Return the files images/NUMBER.png beside the questions, or in their archive."""
    if is_folder(part / "images"):
        return photos([part / "images" / f"{n}.png" for n in numbers], part).pictures
    archive = folder / "images.zip"
    if not is_file(archive):
        raise UserError(f"there is neither {part / 'images'} nor {archive}: add one of them.")
    try:
        with zipfile.ZipFile(archive) as opened:
            # The bytes are read at once, for an archive cannot be read by several threads.
            return tuple(_archived(archive, opened, part.name, numbers))
    except DAMAGED as error:
        raise UserError(f"{archive} cannot be read ({cause(error)}): download it again.") from error


def _archived(
    archive: Path, opened: zipfile.ZipFile, part: str, numbers: Sequence[int]
) -> Iterator[Picture]:
    members = {PurePosixPath(x.filename).parts[-3:]: x for x in opened.infolist()}
    wanted = [(part, "images", f"{number}.png") for number in numbers]
    if missing := [path for path in wanted if path not in members]:
        raise UserError(f"{archive} lacks {'/'.join(missing[0])}: download it again.")
    size = sum(members[path].file_size for path in wanted)
    if size > LARGEST:
        raise UserError(
            f"the pictures in {archive} have {size} bytes, more than {LARGEST}: unpack it there."
        )
    for path in wanted:
        yield EncodedPhoto(members[path].filename, partial(bytes, opened.read(members[path])))
