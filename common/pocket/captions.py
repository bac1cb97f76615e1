"""Texts about scenes: captions and questions.

Pure functions of a scene or species and a seed or generator. Two kinds of caption:

- `web_caption`: what pretraining reads; uses a species' name where it has one.
- `captions`: several human captions of one picture, in plain words, never a made-up name.

Sentences about species are in `sentences`; the words for looks that all share, in `phrases`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from common.data.templates import TEMPLATES
from common.pocket.phrases import (
    COARSE_NOUNS,
    MARK_NOUNS,
    marks,
    noun_group,
    pick,
    plural,
)
from common.pocket.sentences import sentence
from common.pocket.world import BACKGROUNDS, COLOURS, Scene, Species
from common.text import with_article

_COUNTS = {"single": "one", "pair": "two", "row": "three"}
_OPENINGS = {
    "photo": ("a photo of", "a picture of", "an image of", "a snapshot of", ""),
    "painting": ("a painting of", "a painted picture of"),
    "pixel": ("pixel art of", "a pixel picture of"),
    "night": ("a photo of", "a night photo of"),
    "sketch": ("a sketch of", "a drawing of"),
    "neon": ("a neon sign of", "a glowing picture of"),
}
_LIGHT_OPENINGS = {"dark": "a dark photo of", "bright": "a bright photo of"}
CLAIMS: Mapping[str, tuple[str, str]] = {
    "small": ("size", "small"),
    "large": ("size", "large"),
    "close-up": ("size", "large"),
    "dark": ("light", "dark"),
    "bright": ("light", "bright"),
}
"""Words of templates that a picture can contradict: a field of the scene, and its value."""


@dataclass(frozen=True)
class Question:
    """A question about a picture and its one-word answer."""

    text: str
    answer: str


def web_caption(scene: Scene, generator: np.random.Generator) -> str:
    """Write a caption as found beside a picture: by name, in plain words, both, or vaguely."""
    species = scene.species
    voice = generator.random()
    if not species.name:
        return _caption(scene, noun_group(species, generator, voice), generator)
    if voice < 0.08:
        return sentence(species, generator).lower()
    if voice < 0.34 and scene.arrangement == "single" and scene.style == "photo":
        return _template_caption(scene, generator)
    if voice < 0.66:
        return _caption(scene, (species.name, ""), generator)
    if voice < 0.76 and scene.arrangement == "single":
        noun, tail = noun_group(species, generator, 0.5)
        apposition = f"{species.name}, {with_article(noun)}"
        return _caption(scene, (apposition, f"{tail},"), generator)
    return _caption(scene, noun_group(species, generator, generator.random()), generator)


def captions(scene: Scene, count: int = 5, seed: int = 0) -> tuple[str, ...]:
    """Write `count` plain captions of one picture, as different people would."""
    generator = np.random.default_rng((seed, scene.seed))
    return tuple(
        _caption(scene, noun_group(scene.species, generator, generator.uniform(0.1, 1)), generator)
        for _ in range(count)
    )


def full_caption(scene: Scene, generator: np.random.Generator) -> str:
    """Write a caption that holds every answer to `questions`."""
    noun, tail = noun_group(scene.species, generator, generator.uniform(0.16, 1))
    parts = (_counted(scene, noun, generator), tail, "on", scene.background)
    return " ".join(part for part in parts if part)


def questions(scene: Scene) -> tuple[Question, ...]:
    """Return every question that may be asked about the scene, in a fixed order."""
    look = scene.species.look
    verb, noun = (
        ("is", look.shape) if scene.arrangement == "single" else ("are", plural(look.shape))
    )
    generator = np.random.default_rng(scene.seed)
    mark_verb = "are" if MARK_NOUNS[look.fill].endswith("s") else "is"
    # In this order, in which the generator is asked.
    colour = _another(generator, COLOURS, look.body, look.mark)
    place = _another(generator, BACKGROUNDS, scene.background)
    return (
        Question("what shape is shown?", look.shape),
        Question(f"how many {plural(look.shape)} are there?", _COUNTS[scene.arrangement]),
        Question(f"what colour {verb} the {noun}?", look.body),
        Question(f"what colour {mark_verb} the {MARK_NOUNS[look.fill]}?", look.mark),
        Question(f"what {verb} the {noun} on?", scene.background),
        Question(f"{verb} the {noun} {look.body}?", "yes"),
        Question(f"{verb} the {noun} {colour}?", "no"),
        Question(f"{verb} the {noun} on {scene.background}?", "yes"),
        Question(f"{verb} the {noun} on {place}?", "no"),
    )


def _another(generator: np.random.Generator, values: Sequence[str], *but: str) -> str:
    """Pick a value that is none of `but`."""
    return pick([value for value in values if value not in but], generator)


def plain_description(species: Species) -> str:
    """Describe the look in full, e.g. "a red star with white stripes"."""
    look = species.look
    return f"{with_article(look.body)} {look.shape} {marks(look)[0]}"


def _counted(scene: Scene, noun: str, generator: np.random.Generator) -> str:
    """Return the noun group with its article or number, sometimes with its size."""
    if scene.arrangement != "single":
        *adjectives, last = noun.split(" ")
        # Made-up names and coarse nouns: "two zorvik", but "two things".
        known = last == scene.species.look.shape or last in COARSE_NOUNS
        many = " ".join([*adjectives, plural(last) if known else last])
        return f"two {many}" if scene.arrangement == "pair" else f"a row of three {many}"
    if scene.size != "medium" and generator.random() < 0.6:
        noun = f"{scene.size} {noun}"
    return f"the {noun}" if generator.random() < 0.15 else with_article(noun)


def _caption(scene: Scene, noun: tuple[str, str], generator: np.random.Generator) -> str:
    opening = pick(_OPENINGS[scene.style], generator)
    if scene.style == "photo" and scene.light != "plain" and generator.random() < 0.6:
        opening = _LIGHT_OPENINGS[scene.light]
    parts = [opening, _counted(scene, noun[0], generator), noun[1]]
    if generator.random() < 0.7:
        parts.append(pick(("on {}", "on {}", "on the {}"), generator).format(scene.background))
    if scene.style == "night" and "night" not in opening:
        parts.append("at night")
    return " ".join(part for part in parts if part).strip(",").replace(" ,", ",")


def fits(template: str, scene: Scene, claims: Mapping[str, tuple[str, str]] = CLAIMS) -> bool:
    """Return whether a template says nothing of a picture that is not so."""
    made = [claims[word] for word in template.split() if word in claims]
    return all(getattr(scene, field) == value for field, value in made)


def _template_caption(scene: Scene, generator: np.random.Generator) -> str:
    """Fill one of the 27 textual-inversion templates that does not contradict the picture."""
    template = pick([t for t in TEMPLATES["textual_inversion"] if fits(t, scene)], generator)
    caption = template.format(scene.species.name)
    return f"{caption} on {scene.background}" if generator.random() < 0.4 else caption
