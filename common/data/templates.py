"""Prompt templates by set; `{}` is where the class's word or token goes."""

import re
from itertools import product


def fill(pattern: str, **words: str) -> str:
    """Put words where the pattern says {name}, {phrase}; what they say in braces stays."""
    return re.sub("|".join(f"{{{name}}}" for name in words), lambda x: words[x[0][1:-1]], pattern)


def _each(pattern: str, *choices: str) -> list[str]:
    """Fill each `*` of the pattern with every alternative of its `a|b|c` choice."""
    filled = []
    for words in product(*(choice.split("|") for choice in choices)):
        pieces = iter(words)
        filled.append("".join(next(pieces) if c == "*" else c for c in pattern))
    return filled


# The object prompts of textual inversion (Gal et al. 2022), which MC-TI draws from.
_TEXTUAL_INVERSION = (
    *_each("a photo of * {}", "a|the|my|one"),
    "the photo of a {}",
    *_each("a photo of * * {}", "a|the", "clean|cool|nice|small"),
    "a photo of a dirty {}",
    *_each("a photo of the * {}", "weird|large"),
    "a rendering of a {}",
    *_each("a rendition of * {}", "a|the"),
    *_each("a * photo of * {}", "cropped|good|close-up", "a|the"),
    *_each("a * photo of the {}", "dark|bright"),
)

# Those of a style, from the code of the same paper, which lists two of them twice.
_STYLE = (
    *_each(
        "a * in the style of {}",
        "painting|rendering|picture|rendition",
    ),
    "the painting in the style of {}",
    *_each(
        "a * painting in the style of {}",
        "bright|clean|close-up|cool|cropped|dark|dirty|good|large|nice|small|weird",
    ),
)

# The prompts of CLIP's zero-shot classifier (Radford et al. 2021), sorted by form.
_IMAGENET = (
    *_each("a photo of * {}.", "a|the|my|one|many"),
    *_each("a photo of * * {}.", "a|the", "clean|cool|dirty|hard to see|large|nice|small|weird"),
    *_each(
        "a * photo of * {}.",
        "bad|black and white|blurry|bright|close-up|cropped|dark|good|jpeg corrupted"
        "|low resolution|pixelated",
        "a|the",
    ),
    *_each(
        "a * of * {}.",
        "doodle|drawing|painting|rendering|rendition|sculpture|sketch|tattoo",
        "a|the",
    ),
    *_each("* of * {}.", "art|graffiti", "a|the"),
    *_each("itap of * {}.", "a|my|the"),
    *_each("* * {}.", "a|the", "cartoon|embroidered|origami|plastic|plushie|toy"),
    *_each("* {} in a video game.", "a|the"),
)

TEMPLATES: dict[str, tuple[str, ...]] = {
    "photo": ("a photo of a {}",),
    "textual_inversion": _TEXTUAL_INVERSION,
    "textual_inversion_style": _STYLE,
    "imagenet": _IMAGENET,
}
