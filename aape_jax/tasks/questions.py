"""Images with questions, as strings name them: `pocket:questions`, `easy_vqa:FOLDER`."""

import hashlib
import json
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from aape_jax.bank import by_class
from aape_jax.tasks.captioned import POCKET_SIZES, pocket_scenes
from common.clip import CLIP
from common.data import ImageSplit
from common.data.clip_features import image_features, text_features
from common.data.photos import EncodedPhoto, Picture, photo_file
from common.errors import UserError
from common.evaluation.classification import normalise
from common.pocket.captions import captions, questions
from common.pocket.datasets import ScenePhoto

PARTS = ("train", "test")


@dataclass(frozen=True)
class Texts:
    """Pictures and what is asked about them; of one part of a data set.

    Attributes:
      pictures: Each once.
      captions: Of each picture; empty where a data set has none.
      texts: The questions.
      image: Whose each question is.
      answers: What people answered to each, one or several.
    """

    pictures: ImageSplit
    captions: tuple[tuple[str, ...], ...]
    texts: tuple[str, ...]
    image: Int[np.ndarray, "q"]
    answers: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, eq=False)
class Asked:
    """The features of images, captions and questions, unit length.

    Attributes:
      source: What was encoded.
      x: Of images, `[b p]`.
      captions: Of each image, padded, `[b n p]`; None where there are none.
      mask: Which of them there are, `[b n]`.
      questions: Of distinct questions, `[t p]`.
      text: The row of `questions` of each question, `[q]`.
    """

    source: Texts
    x: Float[np.ndarray, "b p"]
    captions: Float[np.ndarray, "b n p"] | None
    mask: Bool[np.ndarray, "b n"] | None
    questions: Float[np.ndarray, "t p"]
    text: Int[np.ndarray, "q"]

    @property
    def fingerprint(self) -> str:
        """16 hex characters that change with any feature, question or answer."""
        digest = hashlib.sha256(self.x.tobytes() + self.questions.tobytes())
        digest.update(self.source.image.tobytes() + self.text.tobytes())
        digest.update(json.dumps(self.source.answers).encode())
        return digest.hexdigest()[:16]


def open_questions(spec: str, clip: CLIP, cache: Path) -> dict[str, Asked]:
    """The parts "train" and "test" of a data set of questions, encoded.

    Raises:
      UserError: the string names none, or its files are not in order.
    """
    return {part: _encode(texts, clip, cache) for part, texts in read_questions(spec).items()}


def read_questions(spec: str) -> dict[str, Texts]:
    """The parts "train" and "test" of a data set of questions.

    Raises:
      UserError: the string names none, or its files are not in order.
    """
    kind, _, where = spec.partition(":")
    if kind not in OPENERS:
        raise UserError(
            f"data={spec!r} is no data set of questions: write pocket:questions or easy_vqa:FOLDER."
        )
    return {part: OPENERS[kind](where, part) for part in PARTS}


def is_question_set(spec: str) -> bool:
    """Whether a string means questions and not captions."""
    kind, _, where = spec.partition(":")
    return kind in OPENERS and not (kind == "pocket" and where in POCKET_SIZES)


def vocabulary(answers: Sequence[Sequence[str]], size: int) -> tuple[str, ...]:
    """The `size` most frequent answers, or all of them for 0; the most frequent first.

    Raises:
      UserError: `size` is negative.
    """
    if size < 0:
        raise UserError(f"answers={size} is negative: give a number, or 0 for all answers.")
    counts = Counter(answer for given in answers for answer in given)
    ranked = sorted(counts, key=lambda answer: (-counts[answer], answer))
    return tuple(ranked[: size or None])


def _encode(asked: Texts, clip: CLIP, cache: Path) -> Asked:
    distinct = {text: row for row, text in enumerate(dict.fromkeys(asked.texts))}
    found, mask = None, None
    if any(asked.captions):
        flat = [caption for own in asked.captions for caption in own]
        owner = np.repeat(np.arange(len(asked.captions)), [len(own) for own in asked.captions])
        found, mask = by_class(text_features(clip, flat, cache), owner, len(asked.captions))
    return Asked(
        source=asked,
        x=normalise(image_features(clip, asked.pictures, cache)),
        captions=found,
        mask=mask,
        questions=normalise(text_features(clip, list(distinct), cache)),
        text=np.array([distinct[text] for text in asked.texts], np.int32),
    )


def _pocket(where: str, part: str) -> Texts:
    if where != "questions":
        raise UserError(f"there is no set of questions 'pocket:{where}': write pocket:questions.")
    scenes = pocket_scenes(part)
    asked = [(row, question) for row, scene in enumerate(scenes) for question in questions(scene)]
    return Texts(
        pictures=_split([ScenePhoto(scene) for scene in scenes], part),
        captions=tuple(captions(scene) for scene in scenes),
        texts=tuple(question.text for _, question in asked),
        image=np.array([row for row, _ in asked]),
        answers=tuple((question.answer,) for _, question in asked),
    )


def _easy_vqa(where: str, part: str) -> Texts:
    """The layout of its repository: PART/questions.json, and PART/images or one images.zip."""
    folder = Path(where).expanduser()
    found = sorted(folder.rglob(f"{part}/questions.json"))
    if not found:
        raise UserError(f"{where!r} holds no {part}/questions.json: give easy-VQA's folder.")
    asked = _read(found[0])
    numbers = sorted({number for _, _, number in asked})
    rows = {number: row for row, number in enumerate(numbers)}
    return Texts(
        pictures=_split(_numbered_pictures(folder, found[0].parent, numbers), part),
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


def _split(pictures: Sequence[Picture], part: str) -> ImageSplit:
    names = tuple(f"{part}-{number}" for number in range(len(pictures)))
    return ImageSplit(np.arange(len(pictures)), names, tuple(pictures))


OPENERS: Mapping[str, Callable[[str, str], Texts]] = {
    "pocket": _pocket,
    "easy_vqa": _easy_vqa,
}
