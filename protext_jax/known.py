"""Which of the paper's data sets one is, by whatever name its folder or builder has."""

import re

IMAGENET_VARIANTS = ("imagenet_v2", "imagenet_sketch", "imagenet_a", "imagenet_r")
FEW_CLASSES = ("imagenet_a", "imagenet_r")
"""Variants that show 200 of ImageNet's classes; whoever is tested chooses among those."""

# The first that is found counts.
_PATTERNS = {
    r"imagenet[-_]?v2": "imagenet_v2",
    r"imagenet[-_]?sketch": "imagenet_sketch",
    r"imagenet[-_]?a(dversarial)?$": "imagenet_a",
    r"imagenet[-_]?r(endition)?$": "imagenet_r",
    r"imagenet": "imagenet",
    r"caltech": "caltech101",
    r"pet": "oxford_pets",
    r"cars": "stanford_cars",
    r"flowers": "oxford_flowers",
    r"food": "food101",
    r"aircraft": "fgvc_aircraft",
    r"sun[-_]?397": "sun397",
    r"dtd|textures": "dtd",
    r"eurosat": "eurosat",
    r"ucf": "ucf101",
}


def identify(name: str) -> str:
    """The reference's name of a data set; empty for one that the paper does not have."""
    found = (known for pattern, known in _PATTERNS.items() if re.search(pattern, name.lower()))
    return next(found, "")
