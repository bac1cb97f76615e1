"""Templates of class names: those of the paper's data sets, and an ensemble of attributes."""

from protext_jax.known import identify
from protext_jax.prompts import CONTEXT

PLAIN = f"{CONTEXT} {{}}."

# CLIP's own template, and ProText's where prompts trained on another data set are tested (they
# overwrite "a photo of a").
# Sources: `CUSTOM_TEMPLATES` and `CUSTOM_TEMPLATES_PROTEXT` of `trainers/zsclip_cupl.py`.
CUSTOM: dict[str, tuple[str, str]] = {
    "oxford_pets": ("a photo of a {}, a type of pet.", "a photo of a {}, a type of pet."),
    "oxford_flowers": ("a photo of a {}, a type of flower.", "a photo of a {}, a type of flower."),
    "fgvc_aircraft": (
        "a photo of a {}, a type of aircraft.",
        "a photo of a {}, a type of aircraft.",
    ),
    "dtd": ("{} texture.", "a photo of a {}, a type of a texture."),
    "eurosat": (
        "a centered satellite photo of {}.",
        "a photo of a centered satellite photo of {}.",
    ),
    "food101": ("a photo of {}, a type of food.", "a photo of a {}, a type of food."),
    "ucf101": ("a photo of a person doing {}.", PLAIN),
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


def clip_template(dataset: str) -> str:
    """CLIP's own template for a data set, by its name."""
    return _find(dataset)[0]


def cross_template(dataset: str) -> str:
    """ProText's template for a data set that it was not trained on; it begins as in training."""
    return _find(dataset)[1]


def _find(dataset: str) -> tuple[str, str]:
    return CUSTOM.get(identify(dataset), (PLAIN, PLAIN))
