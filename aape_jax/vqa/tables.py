"""The frozen tree of a run on questions: from data, or as shapes alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int, PyTree
from ml_collections import ConfigDict

from aape_jax.datasets.question_set import QuestionSet, by_image
from aape_jax.vqa.features import QuestionFeatures
from aape_jax.vqa.towers import make_tower
from common.clip.known import describe_clip
from common.errors import UserError


def check_settings(config: ConfigDict) -> None:
    """Refuse settings that no run on questions can follow.

    Raises:
      UserError: A field contradicts another, or no model is named.
    """
    if not config.model:
        raise UserError("model='' cannot encode questions: name a model.")
    if not 1 <= config.per_image <= config.batch:
        raise UserError(
            f"per_image={config.per_image} must lie between 1 and batch={config.batch}."
        )
    if config.tower and config.loss.distill:
        raise UserError(
            f"tower={config.tower} has a space of its own, where no caption lies near its image: "
            "set loss.distill=false."
        )
    if config.tower and config.start:
        raise UserError(
            f"start={config.start}: that h read CLIP's features; leave tower empty with it."
        )


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


def outline(config: ConfigDict) -> PyTree:
    """Return what `to_learn` would give, as shapes and dtypes; each question counts as distinct.

    Raises:
      UserError: A number is not stated, or the model's sizes are not known.
    """
    stated = {name: config[name] for name in ("examples", "images", "answers")}
    if not all(stated.values()):
        counts = ", ".join(f"{name}={value}" for name, value in stated.items())
        raise UserError(
            f"{counts}: compiling without the questions of {config.data!r} needs the numbers of "
            "training questions, of their images and of answers, e.g. "
            "examples=443757,images=82783,answers=3129."
        )
    width = describe_clip(config.model, image_size=config.image_size).config.text.projection
    together, captions = -(-config.examples // config.per_image), (config.images, config.captions)
    shapes = {
        "questions": ((config.examples, width), jnp.float32),
        "image": ((config.examples,), jnp.int32),
        "text": ((config.examples,), jnp.int32),
        "answer": ((config.examples,), jnp.int32),
        "asked": ((together, config.per_image), jnp.int32),
    }
    if config.loss.distill:
        shapes["captions"] = ((*captions, width), jnp.float32)
        shapes["mask"] = (captions, jnp.bool_)
    frozen = {name: jax.ShapeDtypeStruct(*shape) for name, shape in shapes.items()}
    return frozen | {"seen": make_tower(config).outline(config.images, width)}
