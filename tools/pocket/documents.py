"""Training texts of the pocket language model: scenes described in three forms.

Most begin with one or two full captions of a scene, in whose place a picture may stand later. A
person's caption follows, or questions and answers; or several scenes follow each other with a
question each, as in few-shot prompts. The full caption holds every answer.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from common.language.prompts import CAPTION, SEPARATOR, question
from common.language.tokenizer import LMTokenizer
from common.pocket.captions import captions, full_caption, questions
from common.pocket.phrases import pick
from common.pocket.world import ANONYMOUS, Scene, sample_scene

Pieces = list[str]
"""Parts of a text that are tokenised separately, so that each has the same ids in any text."""

_TOLD = (0, 1, 1, 2)
_FORMS = ("caption", "questions", "examples")
_MOST_QUESTIONS, _MOST_EXAMPLES = 4, 5


def sample_document(generator: np.random.Generator) -> Pieces:
    """Write one text; the scenes have looks that all pretraining may see."""
    form = pick(_FORMS, generator)
    if form == "caption":
        return caption_document(anonymous_scene(generator), pick(_TOLD, generator), generator)
    if form == "questions":
        scene, count = anonymous_scene(generator), 1 + int(generator.integers(_MOST_QUESTIONS))
        return told(scene, pick(_TOLD[1:], generator), generator) + asked(
            [scene] * count, generator
        )
    count = 1 + int(generator.integers(_MOST_EXAMPLES))
    return examples(
        [anonymous_scene(generator) for _ in range(count)], pick(_TOLD[1:], generator), generator
    )


def caption_document(scene: Scene, count: int, generator: np.random.Generator) -> Pieces:
    """Write `count` full captions, then a person's after the words that ask for it."""
    (caption,) = captions(scene, 1, int(generator.integers(2**31)))
    return [*told(scene, count, generator), CAPTION, f" {caption}"]


def told(scene: Scene, count: int, generator: np.random.Generator) -> Pieces:
    """Write `count` full captions of a scene."""
    return [", ".join(full_caption(scene, generator) for _ in range(count))] if count else []


def asked(scenes: Sequence[Scene], generator: np.random.Generator) -> Pieces:
    """Write a question about each scene, with its answer."""
    pieces = []
    for scene in scenes:
        chosen = pick(questions(scene), generator)
        pieces += [question(chosen.text), f" {chosen.answer}", SEPARATOR]
    return pieces[:-1]


def examples(scenes: Sequence[Scene], count: int, generator: np.random.Generator) -> Pieces:
    """Write `count` full captions of each scene and a question about it, scene after scene."""
    pieces = []
    for scene in scenes:
        pieces += [*told(scene, count, generator), *asked([scene], generator), SEPARATOR]
    return pieces[:-1]


def encode(pieces: Pieces, tokenizer: LMTokenizer) -> list[int]:
    """Return the ids of the pieces, one after the other."""
    return [token for piece in pieces for token in tokenizer.encode(piece)]


def packed_rows(
    count: int, length: int, tokenizer: LMTokenizer, eos: int, seed: int
) -> Int[np.ndarray, "count length"]:
    """Fill rows with whole documents and what fits of one more, each ended by `eos`."""
    rows = np.empty((count, length), np.int32)
    for index, row in enumerate(rows):
        generator = np.random.default_rng((seed, index))
        ids: list[int] = []
        while len(ids) < length:
            ids += [*encode(sample_document(generator), tokenizer), eos]
        row[:] = ids[:length]
    return rows


def anonymous_scene(generator: np.random.Generator) -> Scene:
    """Draw a scene of a species that has no name."""
    return sample_scene(pick(ANONYMOUS, generator), generator)
