"""What is said about scenes and species: captions, LLM-like descriptions, questions.

Pure functions of a scene or species and a seed or generator. Three voices:

- `web_caption`: what pretraining reads; uses a species' name where it has one.
- `captions`: several human captions of one picture, in plain words, never a made-up name.
- `describe`: sentences about a species as a language model writes them: most tell its look,
  some only a part of it, some nothing of use.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from common.data.templates import TEMPLATES
from common.pocket.world import BACKGROUNDS, COLOURS, Look, Scene, Species

COARSE_NOUNS = ("thing", "creature", "object", "shape", "figure")

# How each fill is told: {m} is the mark colour, {a_m} the same with its article. The last
# form stands before the body colour, the others follow the noun.
_MARKS = {
    "striped": ("with {m} stripes", "striped with {m}", "{m}-striped"),
    "dotted": ("with {m} dots", "dotted with {m}", "{m}-dotted"),
    "banded": ("with {a_m} band", "with {a_m} band down the middle", "{m}-banded"),
    "halved": ("with {a_m} lower half", "with the lower half {m}", "half-{m}"),
    "rimmed": ("with {a_m} rim", "edged with {m}", "{m}-rimmed"),
    "cored": ("with {a_m} core", "with {a_m} spot in the middle", "{m}-cored"),
}
MARK_NOUNS = {
    "striped": "stripes",
    "dotted": "dots",
    "banded": "band",
    "halved": "lower half",
    "rimmed": "rim",
    "cored": "core",
}
_PLURALS = {"cross": "crosses", "fish": "fish"}
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
# Words of the fixed templates that say something a picture can contradict.
_TEMPLATE_CLAIMS = {
    "small": ("size", "small"),
    "large": ("size", "large"),
    "close-up": ("size", "large"),
    "dark": ("light", "dark"),
    "bright": ("light", "bright"),
}

_FULL_SENTENCES = (
    "a {name} is a {body} {shape} {marks}.",
    "the {name} is shaped like a {shape} and is {body} {marks}.",
    "a {name} has the form of a {shape}, its body is {body} {marks}.",
    "a {name} is a {shape}-shaped creature, {body} {marks}.",
    "the {name} looks like a {front} {body} {shape}.",
    "a photo of a {name}, a {body} {shape} {marks}.",
    "you can tell a {name} by its {shape} shape and its {body} body {marks}.",
)
_PARTIAL_SENTENCES = (
    "the {name} looks like a {shape} {marks}.",
    "you can recognise a {name} by its {body} body {marks}.",
    "the body of a {name} is {body}.",
    "a {name} has the outline of a {shape}.",
    "the {name} is known for the {mark} {mark_noun} of its {body} body.",
)
_VAGUE_SENTENCES = (
    "a {name} is a creature that can be small or large.",
    "the {name} is often seen on {background}.",
    "a {name} is a simple figure with a clear outline.",
)


@dataclass(frozen=True)
class Question:
    """A question about a picture and its one-word answer."""

    text: str
    answer: str


def web_caption(scene: Scene, generator: np.random.Generator) -> str:
    """A caption as found beside a picture: by name, in plain words, both, or vaguely."""
    species = scene.species
    voice = generator.random()
    if not species.name:
        return _caption(scene, _plain(species, generator, voice), generator)
    if voice < 0.08:
        return _sentence(species, generator).lower()
    if voice < 0.34 and scene.arrangement == "single" and scene.style == "photo":
        return _template_caption(scene, generator)
    if voice < 0.66:
        return _caption(scene, (species.name, ""), generator)
    if voice < 0.76 and scene.arrangement == "single":
        noun, tail = _plain(species, generator, 0.5)
        apposition = f"{species.name}, {_with_article(noun)}"
        return _caption(scene, (apposition, f"{tail},"), generator)
    return _caption(scene, _plain(species, generator, generator.random()), generator)


def captions(scene: Scene, count: int = 5, seed: int = 0) -> tuple[str, ...]:
    """`count` plain captions of one picture, as five people would write them."""
    generator = np.random.default_rng((seed, scene.seed))
    return tuple(
        _caption(scene, _plain(scene.species, generator, generator.uniform(0.1, 1)), generator)
        for _ in range(count)
    )


def describe(species: Species, count: int = 20, seed: int = 0) -> tuple[str, ...]:
    """`count` sentences about a species in the manner of a language model.

    The same species and seed give the same sentences; repetitions occur, as they do in the
    public collections of such sentences.
    """
    generator = np.random.default_rng((seed, *species.name.encode()))
    return tuple(_capitalised(_sentence(species, generator)) for _ in range(count))


def questions(scene: Scene) -> tuple[Question, ...]:
    """Every question that may be asked about the scene, in a fixed order."""
    look = scene.species.look
    verb, noun = (
        ("is", look.shape) if scene.arrangement == "single" else ("are", plural(look.shape))
    )
    generator = np.random.default_rng(scene.seed)

    def other(values: Sequence[str], *but: str) -> str:
        return _pick([value for value in values if value not in but], generator)

    mark_verb = "are" if MARK_NOUNS[look.fill].endswith("s") else "is"
    return (
        Question("what shape is shown?", look.shape),
        Question(f"how many {plural(look.shape)} are there?", _COUNTS[scene.arrangement]),
        Question(f"what colour {verb} the {noun}?", look.body),
        Question(f"what colour {mark_verb} the {MARK_NOUNS[look.fill]}?", look.mark),
        Question(f"what {verb} the {noun} on?", scene.background),
        Question(f"{verb} the {noun} {look.body}?", "yes"),
        Question(f"{verb} the {noun} {other(COLOURS, look.body, look.mark)}?", "no"),
        Question(f"{verb} the {noun} on {scene.background}?", "yes"),
        Question(f"{verb} the {noun} on {other(BACKGROUNDS, scene.background)}?", "no"),
    )


def plain_description(species: Species) -> str:
    """The look in full, e.g. "a red star with white stripes"."""
    look = species.look
    return f"{_with_article(look.body)} {look.shape} {_marks(look)[0]}"


def plural(shape: str) -> str:
    """The plural of a shape's name."""
    return _PLURALS.get(shape, f"{shape}s")


def _pick(values: Sequence, generator: np.random.Generator):
    return values[int(generator.integers(len(values)))]


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _marks(look: Look) -> list[str]:
    a_mark = _with_article(look.mark)
    return [form.format(m=look.mark, a_m=a_mark) for form in _MARKS[look.fill]]


def _capitalised(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


def _plain(species: Species, generator: np.random.Generator, detail: float) -> tuple[str, str]:
    """A noun group for a look, and what follows it; `detail` in [0, 1) grows with the detail."""
    look = species.look
    *behind, front = _marks(look)
    if detail < 0.08:
        return _pick(COARSE_NOUNS, generator), ""
    if detail < 0.16:
        return f"{look.body} {look.shape}", ""
    if detail < 0.22:
        return f"{look.fill} {look.shape}", f"in {look.body} and {look.mark}"
    if detail < 0.4:
        return f"{front} {look.body} {look.shape}", ""
    return f"{look.body} {look.shape}", _pick(behind, generator)


def _counted(scene: Scene, noun: str, generator: np.random.Generator) -> str:
    """The noun group with its article or number, and its size where that is said."""
    if scene.arrangement != "single":
        *adjectives, last = noun.split(" ")
        # Made-up names and coarse nouns: "two zorvik", but "two things".
        known = last == scene.species.look.shape or last in COARSE_NOUNS
        many = " ".join([*adjectives, plural(last) if known else last])
        return f"two {many}" if scene.arrangement == "pair" else f"a row of three {many}"
    if scene.size != "medium" and generator.random() < 0.6:
        noun = f"{scene.size} {noun}"
    return f"the {noun}" if generator.random() < 0.15 else _with_article(noun)


def _caption(scene: Scene, noun: tuple[str, str], generator: np.random.Generator) -> str:
    opening = _pick(_OPENINGS[scene.style], generator)
    if scene.style == "photo" and scene.light != "plain" and generator.random() < 0.6:
        opening = _LIGHT_OPENINGS[scene.light]
    parts = [opening, _counted(scene, noun[0], generator), noun[1]]
    if generator.random() < 0.7:
        parts.append(_pick(("on {}", "on {}", "on the {}"), generator).format(scene.background))
    if scene.style == "night" and "night" not in opening:
        parts.append("at night")
    return " ".join(part for part in parts if part).strip(",").replace(" ,", ",")


def _template_caption(scene: Scene, generator: np.random.Generator) -> str:
    """One of the 27 textual-inversion templates that does not contradict the picture."""
    facts = {"size": scene.size, "light": scene.light}

    def holds(template: str) -> bool:
        claims = [_TEMPLATE_CLAIMS[word] for word in template.split() if word in _TEMPLATE_CLAIMS]
        return all(facts[name] == value for name, value in claims)

    template = _pick([t for t in TEMPLATES["textual_inversion"] if holds(t)], generator)
    caption = template.format(scene.species.name)
    return f"{caption} on {scene.background}" if generator.random() < 0.4 else caption


def _sentence(species: Species, generator: np.random.Generator) -> str:
    kind = int(np.searchsorted((0.6, 0.9), generator.random(), side="right"))
    look = species.look
    *behind, front = _marks(look)
    return _pick((_FULL_SENTENCES, _PARTIAL_SENTENCES, _VAGUE_SENTENCES)[kind], generator).format(
        name=species.name,
        shape=look.shape,
        body=look.body,
        mark=look.mark,
        marks=_pick(behind, generator),
        front=front,
        mark_noun=MARK_NOUNS[look.fill],
        background=_pick(BACKGROUNDS, generator),
    )
