"""The reference's settings per data set, and where the paper prints others.

Sources: `configs/trainers/ProText/{base2novel,text_only_supervised,cross_datasets}/*.yaml` of the
reference; tables 17 and 18 of the paper. Figures are (epochs, length, learning rate).
"""

from typing import Any

from common.choices import check_choice
from common.errors import UserError
from common.protocols.table import published_data, published_sentences

Setting = tuple[int, int, float]

BASE_TO_NEW: dict[str, Setting] = {
    "imagenet": (30, 4, 0.03),
    "caltech101": (30, 16, 0.0025),
    "oxford_pets": (50, 4, 0.03),
    "stanford_cars": (30, 8, 0.0025),
    "oxford_flowers": (150, 4, 0.0025),
    "food101": (50, 8, 0.0025),
    "fgvc_aircraft": (200, 4, 0.03),
    "sun397": (30, 8, 0.03),
    "dtd": (200, 4, 0.03),
    "eurosat": (30, 16, 0.0025),
    "ucf101": (30, 16, 0.03),
}
ALL_CLASSES: dict[str, Setting] = {
    "imagenet": (200, 16, 0.0025),
    "caltech101": (30, 16, 0.03),
    "oxford_pets": (50, 4, 0.03),
    "stanford_cars": (20, 8, 0.03),
    "oxford_flowers": (300, 4, 0.0025),
    "food101": (30, 16, 0.03),
    "fgvc_aircraft": (200, 4, 0.03),
    "sun397": (150, 16, 0.03),
    "dtd": (200, 16, 0.03),
    "eurosat": (300, 4, 0.0025),
    "ucf101": (100, 8, 0.0025),
}
CODE: dict[str, dict[str, Setting]] = {
    "base_to_new": BASE_TO_NEW,
    "all_classes": ALL_CLASSES,
    "cross_dataset": {"imagenet": (10, 4, 0.03)},
    "domain_generalisation": {"imagenet": ALL_CLASSES["imagenet"]},
}
# Only where the paper's tables differ from the files.
PAPER: dict[str, dict[str, Setting]] = {
    "base_to_new": {
        "caltech101": (30, 8, 0.03),
        "stanford_cars": (30, 8, 0.03),
        "eurosat": (30, 16, 0.03),
        "ucf101": (20, 16, 0.0025),
    },
    "all_classes": {"imagenet": (200, 16, 0.03), "sun397": (200, 16, 0.03)},
    "cross_dataset": {},
    "domain_generalisation": {"imagenet": (200, 16, 0.03)},
}
RECIPES = {
    "code": CODE,
    "paper": {name: CODE[name] | PAPER[name] for name in CODE},
}


def recipe(name: str, protocol: str, source: str) -> dict[str, Any]:
    """Return the fields of the config that a published run sets, by dotted name.

    Args:
      name: Of one of the paper's data sets.
      protocol: One of `common.protocols.table.PROTOCOLS`.
      source: "code" or "paper".

    Raises:
      UserError: The reference has no such run.
    """
    check_choice("recipe_from", source, RECIPES)
    settings = RECIPES[source].get(protocol, {})
    if name not in settings:
        known = ", ".join(settings) or "none; choose another protocol"
        raise UserError(f"recipe={name!r} has no settings for {protocol!r}; known: {known}.")
    epochs, length, rate = settings[name]
    return {
        **published_data(name, protocol),
        "prompts.source": f"json:{published_sentences(name)}",
        "epochs": epochs,
        "length": length,
        "learning_rate": rate,
        "depth": 9,
        "held_out": 0,
    }
