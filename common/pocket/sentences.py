"""Sentences about species as a language model writes them.

Most describe the look in full, some in part, some not at all.
"""

import numpy as np

from common.pocket.phrases import MARK_NOUNS, marks, pick
from common.pocket.world import BACKGROUNDS, Species

_FULL = (
    "a {name} is a {body} {shape} {marks}.",
    "the {name} is shaped like a {shape} and is {body} {marks}.",
    "a {name} has the form of a {shape}, its body is {body} {marks}.",
    "a {name} is a {shape}-shaped creature, {body} {marks}.",
    "the {name} looks like a {front} {body} {shape}.",
    "a photo of a {name}, a {body} {shape} {marks}.",
    "you can tell a {name} by its {shape} shape and its {body} body {marks}.",
)
_PARTIAL = (
    "the {name} looks like a {shape} {marks}.",
    "you can recognise a {name} by its {body} body {marks}.",
    "the body of a {name} is {body}.",
    "a {name} has the outline of a {shape}.",
    "the {name} is known for the {mark} {mark_noun} of its {body} body.",
)
_VAGUE = (
    "a {name} is a creature that can be small or large.",
    "the {name} is often seen on {background}.",
    "a {name} is a simple figure with a clear outline.",
)


def describe(species: Species, count: int = 20, seed: int = 0) -> tuple[str, ...]:
    """Write `count` sentences about a species in the manner of a language model.

    The same species and seed give the same sentences; repetitions occur, as they do in the
    public collections of such sentences.
    """
    generator = np.random.default_rng((seed, *species.name.encode()))
    return tuple(_capitalised(sentence(species, generator)) for _ in range(count))


def sentence(species: Species, generator: np.random.Generator) -> str:
    """Write one such sentence, without a capital letter."""
    kind = int(np.searchsorted((0.6, 0.9), generator.random(), side="right"))
    look = species.look
    *behind, front = marks(look)
    return pick((_FULL, _PARTIAL, _VAGUE)[kind], generator).format(
        name=species.name,
        shape=look.shape,
        body=look.body,
        mark=look.mark,
        marks=pick(behind, generator),
        front=front,
        mark_noun=MARK_NOUNS[look.fill],
        background=pick(BACKGROUNDS, generator),
    )


def _capitalised(text: str) -> str:
    return text[0].upper() + text[1:]
