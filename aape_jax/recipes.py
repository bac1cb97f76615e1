"""The paper's data sets and protocols, as fields of `configs/aape.py`.

Sources: section 4 of the paper; templates, folders and the three protocols are CoOp's and CoCoOp's
(arXiv 2109.01134, 2203.05557), the files of sentences CuPL's by the names that ProText gives them.
Cross-dataset transfer is not in the paper.
"""

from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from aape_jax.presets import preset
from common.config import flatten
from common.errors import UserError

MODEL = "openai/clip-vit-base-patch16"
PLAIN = "a photo of a {}"


class Known(NamedTuple):
    """One of the paper's data sets.

    Attributes:
      folder: In CoOp's layout.
      classes: How many.
      sentences: File of sentences that GPT-3 wrote.
      template: CoOp's own.
    """

    folder: str
    classes: int
    sentences: str
    template: str


KNOWN = {
    "imagenet": Known("imagenet", 1000, "CuPL_image_prompts", "a photo of a {}."),
    "caltech101": Known("caltech-101", 100, "cal_prompts_full", "a photo of a {}."),
    "oxford_pets": Known("oxford_pets", 37, "pets_prompts_full", "a photo of a {}, a type of pet."),
    "stanford_cars": Known("stanford_cars", 196, "cars_prompts_full", "a photo of a {}."),
    "oxford_flowers": Known(
        "oxford_flowers", 102, "flower_prompts_full", "a photo of a {}, a type of flower."
    ),
    "food101": Known("food-101", 101, "food_prompts_full", "a photo of {}, a type of food."),
    "fgvc_aircraft": Known(
        "fgvc_aircraft", 100, "airplane_prompts_full", "a photo of a {}, a type of aircraft."
    ),
    "sun397": Known("sun397", 397, "sun_prompts_full", "a photo of a {}."),
    "dtd": Known("dtd", 47, "texture_prompts_full", "{} texture."),
    "eurosat": Known("eurosat", 10, "EuroSAT", "a centered satellite photo of {}."),
    "ucf101": Known("ucf101", 101, "ucf_prompts_full", "a photo of a person doing {}."),
}
IMAGENET = "imagenet"
IMAGENET_VARIANTS = (
    "imagenetv2",
    "imagenet-sketch",
    "imagenet-adversarial",
    "imagenet-rendition",
)

PROTOCOLS: dict[str, dict[str, Any]] = {
    "base_to_new": {"subsample": "base", "schedule": "short", "targets": ()},
    "all_class": {"subsample": "all", "schedule": "coop", "targets": ()},
    "domain_generalisation": {
        "subsample": "all",
        "schedule": "coop",
        "targets": IMAGENET_VARIANTS,
    },
    "cross_dataset": {
        "subsample": "all",
        "schedule": "coop",
        "targets": tuple(known.folder for name, known in KNOWN.items() if name != IMAGENET),
    },
}
"""What each protocol sets for one of the paper's data sets; targets are folders."""

POCKET_TARGETS = {
    "domain_generalisation": ("pocket:rare_sketch",),
    "cross_dataset": ("pocket:second",),
}


def recipe(paper: str, protocol: str) -> dict[str, Any]:
    """The fields that a protocol sets, for one of the paper's data sets or ("") for any other.

    Raises:
      UserError: either is unknown, or the paper learns from ImageNet alone here.
    """
    if protocol not in PROTOCOLS:
        raise UserError(f"protocol={protocol!r} is unknown; choose one of {', '.join(PROTOCOLS)}.")
    fields = PROTOCOLS[protocol]
    if not paper:
        return {"subsample": fields["subsample"], "targets": POCKET_TARGETS.get(protocol, ())}
    if paper not in KNOWN:
        raise UserError(f"paper={paper!r} is unknown; choose one of {', '.join(KNOWN)}.")
    if fields["targets"] and paper != IMAGENET:
        raise UserError(f"protocol={protocol} learns from paper=imagenet, not from {paper}.")
    known = KNOWN[paper]
    return {
        **fields,
        "targets": tuple(f"coop:data/{folder}" for folder in fields["targets"]),
        "model": MODEL,
        "data": f"coop:data/{known.folder}",
        "classes": known.classes,
        "prompts.source": f"json:data/gpt/{known.sentences}.json",
        "prompts.padded": 90,
    }


def check_applied(config: ConfigDict) -> None:
    """Refuses names that came too late to set the fields that they stand for.

    Raises:
      UserError: `preset`, `paper` or `protocol` was given as an override.
    """
    own = (f"preset={config.preset}", preset(config.preset), preset("default"))
    named = f"paper={config.paper},protocol={config.protocol}"
    source = (named, recipe(config.paper, config.protocol), recipe("", "base_to_new"))
    held = flatten(config)
    for name, fields, usual in (own, source):
        wanted = {key: value for key, value in fields.items() if usual.get(key) != value}
        if wanted and not any(held[key] == value for key, value in wanted.items()):
            raise UserError(
                f"{name} stands for other fields, none of which is set: write it behind the "
                f"colon, --config=configs/aape.py:{name}."
            )


def class_template(template: str, dataset: str) -> str:
    """The text that the class names of a data set are filled into.

    Args:
      template: "plain", "coop" or the text itself.
      dataset: The data set's string, by which CoOp's template is found.

    Raises:
      UserError: CoOp has none for this data set, or the text has no place for the name.
    """
    folder = Path(dataset.partition(":")[2]).name
    if folder in IMAGENET_VARIANTS:
        folder = KNOWN[IMAGENET].folder
    coop = {known.folder: known.template for known in KNOWN.values()}
    if template == "coop" and folder not in coop:
        raise UserError(
            f"classifier.template=coop: CoOp has no template for {dataset!r}; write plain or the "
            "text itself."
        )
    text = {"plain": PLAIN, "coop": coop.get(folder)}.get(template, template)
    if text.count("{}") != 1:
        raise UserError(f"classifier.template={template!r} needs one {{}} for the class name.")
    return text
