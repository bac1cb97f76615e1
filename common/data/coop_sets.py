"""CoOp's eleven data sets and ImageNet's variants, which most papers on prompts measure on.

Sources: `DATASETS.md` of CoOp (arXiv 2109.01134) for the folders, `CUSTOM_TEMPLATES` of its
`trainers/zsclip.py`, CuPL (2209.03320) for the sentences, whose files have ProText's names.
"""

import re
from typing import NamedTuple

MODEL = "openai/clip-vit-base-patch16"
"""The model of the papers' tables."""


class CoopSet(NamedTuple):
    """One of the eleven.

    Attributes:
      folder: In CoOp's layout.
      classes: How many.
      sentences: File of sentences that GPT-3 wrote.
      template: CLIP's own for this data set.
    """

    folder: str
    classes: int
    sentences: str
    template: str = "a photo of a {}."


COOP_SETS = {
    "imagenet": CoopSet("imagenet", 1000, "CuPL_image_prompts.json"),
    "caltech101": CoopSet("caltech-101", 100, "cal_prompts_full.json"),
    "oxford_pets": CoopSet(
        "oxford_pets", 37, "pets_prompts_full.json", "a photo of a {}, a type of pet."
    ),
    "stanford_cars": CoopSet("stanford_cars", 196, "cars_prompts_full.json"),
    "oxford_flowers": CoopSet(
        "oxford_flowers", 102, "flower_prompts_full.json", "a photo of a {}, a type of flower."
    ),
    "food101": CoopSet("food-101", 101, "food_prompts_full.json", "a photo of {}, a type of food."),
    "fgvc_aircraft": CoopSet(
        "fgvc_aircraft", 100, "airplane_prompts_full.json", "a photo of a {}, a type of aircraft."
    ),
    "sun397": CoopSet("sun397", 397, "sun_prompts_full.json"),
    "dtd": CoopSet("dtd", 47, "texture_prompts_full.json", "{} texture."),
    "eurosat": CoopSet("eurosat", 10, "EuroSAT.json", "a centered satellite photo of {}."),
    "ucf101": CoopSet("ucf101", 101, "ucf_prompts_full.json", "a photo of a person doing {}."),
}
IMAGENET = "imagenet"
IMAGENET_VARIANTS = {
    "imagenet_v2": "imagenetv2",
    "imagenet_sketch": "imagenet-sketch",
    "imagenet_a": "imagenet-adversarial",
    "imagenet_r": "imagenet-rendition",
}
"""Folders of the sets that ImageNet's classes are also tested on."""
FEW_CLASSES = ("imagenet_a", "imagenet_r")
"""Variants that show 200 of ImageNet's classes; whoever is tested chooses among those."""

# The first that is found counts, as a word of its own: carpets are no pets.
_PATTERNS = {
    r"imagenet[-_]?v2": "imagenet_v2",
    r"imagenet[-_]?sketch": "imagenet_sketch",
    r"imagenet[-_]?a(dversarial)?$": "imagenet_a",
    r"imagenet[-_]?r(endition)?$": "imagenet_r",
    r"imagenet": IMAGENET,
    r"caltech(?=[-_]?101|$)": "caltech101",
    r"(oxford[-_]?)?(iiit[-_]?)?pets?": "oxford_pets",
    r"(stanford[-_]?)?cars": "stanford_cars",
    r"(oxford[-_]?)?flowers": "oxford_flowers",
    r"food(?=[-_]?101|$)": "food101",
    r"(fgvc[-_]?)?aircraft": "fgvc_aircraft",
    r"sun[-_]?397": "sun397",
    r"dtd|(describable[-_]?)?textures": "dtd",
    r"eurosat": "eurosat",
    r"ucf(?=[-_]?101|$)": "ucf101",
}

_WORDS = [(re.compile(rf"(?<![a-z])({x})(?![a-z])"), known) for x, known in _PATTERNS.items()]


def identify(name: str) -> str:
    """Return which of the eleven a folder or builder is, by its name; empty for any other."""
    return next((known for word, known in _WORDS if word.search(name.lower())), "")


def own_template(name: str) -> str:
    """Return CLIP's own template for a data set; the plain one for any but the eleven."""
    return COOP_SETS.get(identify(name), COOP_SETS[IMAGENET]).template
