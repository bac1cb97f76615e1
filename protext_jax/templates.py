"""Templates of class names: those of the paper's data sets, and an ensemble of attributes."""

from common.data.coop_sets import identify
from protext_jax.prompts import CONTEXT, FILLER

PLAIN = f"{CONTEXT} {{}}."

# Where prompts trained on another data set are tested: they overwrite "a photo of a".
# Source: `CUSTOM_TEMPLATES_PROTEXT` of `trainers/zsclip_cupl.py`.
CROSS: dict[str, str] = {
    "oxford_pets": "a photo of a {}, a type of pet.",
    "oxford_flowers": "a photo of a {}, a type of flower.",
    "fgvc_aircraft": "a photo of a {}, a type of aircraft.",
    "dtd": "a photo of a {}, a type of a texture.",
    "eurosat": "a photo of a centered satellite photo of {}.",
    "food101": "a photo of a {}, a type of food.",
}
# The class under some condition, for the "attribute" rows; the words are this package's own.
_CONDITIONS = (
    *("small", "large", "tiny", "huge", "round", "flat", "tall", "long", "thin", "thick"),
    *("red", "blue", "green", "yellow", "brown", "black", "white", "grey", "colourful", "pale"),
    *("old", "new", "clean", "dirty", "shiny", "smooth", "rough", "soft", "striped", "spotted"),
)
_PLACES = (
    *("in the wild", "indoors", "outdoors", "on a table", "on the ground", "in the water"),
    *("in the snow", "in the grass", "in a city", "in a garden", "at night", "in the sun"),
    *("from above", "from the side", "up close", "far away"),
)
ATTRIBUTES: tuple[str, ...] = (
    PLAIN,
    *(f"a photo of a {word} {{}}." for word in _CONDITIONS),
    *(f"a photo of a {{}} {place}." for place in _PLACES),
)


def cross_template(dataset: str) -> str:
    """Return ProText's template for another data set; it begins as in training."""
    return CROSS.get(identify(dataset), PLAIN)


def bare_template(template: str) -> str:
    """Return the template as CLIP alone reads it; fillers say nothing to it."""
    return PLAIN if template.split()[:1] == [FILLER] else template
