"""Prompts of K examples and a question: which they are, their tokens, and images between them."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree

from aape_jax.datasets.question_set import QuestionSet, by_image
from common.errors import UserError
from common.language import LM
from common.language.prompts import SEPARATOR, question


@dataclass(frozen=True)
class Prompts:
    """What stands around the images: K + 1 texts in a row for each question.

    Attributes:
      images: Of the examples among the training images, `[q k]`.
      asked: The image of the question itself, `[q]`.
      ids: Padded on the left, `[q k+1 s]`.
      mask: False for padding.
    """

    images: Int[np.ndarray, "q k"]
    asked: Int[np.ndarray, "q"]
    ids: Int[np.ndarray, "q k1 s"]
    mask: Bool[np.ndarray, "q k1 s"]


def draw_prompts(
    lm: LM,
    source: QuestionSet,
    asked: QuestionSet,
    rows: Int[np.ndarray, "q"],
    shots: int,
    seed: int,
) -> Prompts:
    """Draw examples for each question anew, of different images.

    Which they are does not depend on what other numbers of examples are asked for.

    Args:
      lm: Whose tokens.
      source: What the examples are drawn from.
      asked: What the questions are of.
      rows: The questions.
      shots: Examples in front of each.
      seed: Of the draw.

    Raises:
      UserError: There are fewer images with questions than examples.
    """
    questions_of = by_image(source.image)
    if shots > len(questions_of):
        raise UserError(f"vqa.shots={shots}, but only {len(questions_of)} images have examples.")
    generator = np.random.default_rng((seed, shots))
    texts, images = [], []
    for row in rows:
        drawn = generator.choice(len(questions_of), shots, replace=False)
        examples = [int(generator.choice(questions_of[i])) for i in drawn]
        images.append([source.image[example] for example in examples])
        solved = [_told(source.texts[e], source.answers[e]) for e in examples]
        texts.append([*solved, question(asked.texts[row])])
    ids, mask = _left_padded(texts, lm)
    numbers = np.array(images, np.int32).reshape(len(rows), shots)
    return Prompts(numbers, asked.image[rows], ids, mask)


def join(
    lm: LM,
    lm_params: PyTree,
    prefixes: Sequence[Float[Array, "b t d"]],
    ids: Int[Array, "b k1 s"],
    mask: Bool[Array, "b k1 s"],
) -> tuple[Float[Array, "b n d"], Bool[Array, "b n"]]:
    """Return images and texts by turns, as embeddings, and where they are real."""
    words = lm.model.apply({"params": lm_params}, ids, method="embed")
    parts, masks = [], []
    for number, prefix in enumerate(prefixes):
        parts += [prefix.astype(words.dtype), words[:, number]]
        masks += [jnp.ones(prefix.shape[:2], bool), mask[:, number]]
    return jnp.concatenate(parts, axis=1), jnp.concatenate(masks, axis=1)


def _told(text: str, answers: Sequence[str]) -> str:
    """Return an example: the answer that most people gave, and the end of its line."""
    return f"{question(text)} {max(answers, key=list(answers).count)}{SEPARATOR}"


def _left_padded(
    texts: Sequence[Sequence[str]], lm: LM
) -> tuple[Int[np.ndarray, "q k1 s"], Bool[np.ndarray, "q k1 s"]]:
    encoded = [[lm.tokenizer.encode(text) for text in prompt] for prompt in texts]
    longest = max(len(ids) for row in encoded for ids in row)
    ids = np.full((len(texts), len(encoded[0]), longest), lm.config.eos, np.int32)
    mask = np.zeros(ids.shape, bool)
    for row, prompt in enumerate(encoded):
        for number, text in enumerate(prompt):
            ids[row, number, longest - len(text) :] = text
            mask[row, number, longest - len(text) :] = True
    return ids, mask
