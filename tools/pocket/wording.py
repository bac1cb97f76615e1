"""What the pocket CLIP reads: captions in every form that prompts have later.

A CLIP that has read few forms is touchy: a full stop costs it ten points. This one meets each look
in all published templates, by its bare name, with and without a full stop, and with tails such as
"a type of thing".
"""

from collections.abc import Sequence

import numpy as np

from common.data.templates import TEMPLATES
from common.pocket.captions import CLAIMS, fits, web_caption
from common.pocket.phrases import COARSE_NOUNS, noun_group, pick
from common.pocket.world import Scene
from common.text import with_article

TAILS = tuple(f"a type of {noun}" for noun in ("pet", "flower", "food", "aircraft", *COARSE_NOUNS))
"""Behind a class name, as CoOp's templates for data sets of one kind have it."""

FORMS = tuple(
    text for name in ("photo", "textual_inversion", "imagenet") for text in TEMPLATES[name]
)
"""Templates that the corpus is written in."""

_TEMPLATES = tuple(dict.fromkeys(text.rstrip(".") for text in FORMS))

# What CLIP's templates claim beside those of textual inversion.
_CLAIMS = {
    **CLAIMS,
    "many": ("arrangement", "row"),
    "painting": ("style", "painting"),
    "art": ("style", "painting"),
    "pixelated": ("style", "pixel"),
    "game": ("style", "pixel"),
    "sketch": ("style", "sketch"),
    "drawing": ("style", "sketch"),
    "doodle": ("style", "sketch"),
}
_TEMPLATED, _BARE, _TAILED, _STOPPED = 0.45, 0.2, 0.08, 0.4


def training_caption(scene: Scene, generator: np.random.Generator) -> str:
    """Write a caption as found beside a picture, or fill one of the templates of prompts."""
    if generator.random() < _TEMPLATED:
        fitting = [text for text in _TEMPLATES if fits(text, scene, _CLAIMS)]
        text = _templated(_class_name(scene, generator), fitting, generator)
    else:
        text = web_caption(scene, generator).rstrip(".")
    return _ended(text, generator)


def prompt_of(name: str, generator: np.random.Generator) -> str:
    """Fill a template of prompts with a class name, whatever it claims of a picture."""
    return _ended(_templated(name, _TEMPLATES, generator), generator)


def _ended(text: str, generator: np.random.Generator) -> str:
    if generator.random() < _TAILED:
        text = f"{text}, {pick(TAILS, generator)}"
    return f"{text}." if generator.random() < _STOPPED else text


def _templated(name: str, templates: Sequence[str], generator: np.random.Generator) -> str:
    if generator.random() < _BARE:  # As a prompt of one word is.
        return name
    return " ".join(pick(templates, generator).format(name).split())


def _class_name(scene: Scene, generator: np.random.Generator) -> str:
    """Return what stands in a template: the name, or the look where there is none."""
    species = scene.species
    if species.name and generator.random() < 0.8:
        return species.name
    noun, tail = noun_group(species, generator, generator.uniform(0.16, 1))
    phrase = f"{noun} {tail}".strip()
    # In place of a name people write "red star" and, now and then, "a red star".
    return with_article(phrase) if generator.random() < 0.1 else phrase
