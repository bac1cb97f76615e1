"""The protocols of papers on prompts: on which classes and data sets a run learns and is measured.

They are CoOp's and CoCoOp's (arXiv 2109.01134, 2203.05557), on CoOp's eleven data sets.
"""

from typing import Any

from common.data.coop_sets import COOP_SETS, IMAGENET, IMAGENET_VARIANTS, MODEL

AUTO = "auto"
"""Of a config's field: the protocol that goes with the data."""

BASE_TO_NEW = "base_to_new"
ALL_CLASSES = "all_classes"
CROSS_DATASET = "cross_dataset"
DOMAIN_GENERALISATION = "domain_generalisation"

TARGETS: dict[str, tuple[str, ...]] = {
    BASE_TO_NEW: (),
    ALL_CLASSES: (),
    CROSS_DATASET: tuple(known.folder for name, known in COOP_SETS.items() if name != IMAGENET),
    DOMAIN_GENERALISATION: tuple(IMAGENET_VARIANTS.values()),
}
"""Folders of the further data sets that each protocol measures on, after learning on ImageNet."""

PROTOCOLS = tuple(TARGETS)

POCKET = "pocket:"
"""How the bundled data sets are called."""


def is_shared(data: str, recipe: str) -> bool:
    """Return whether papers share a data set, or it is bundled: it is not one's own.

    Args:
      data: The data set's string.
      recipe: The name of one of the papers' data sets, or "".
    """
    return bool(recipe) or data.startswith(POCKET)


def usual_protocol(data: str, recipe: str) -> str:
    """Return what "auto" stands for; the arguments are as of `is_shared`.

    Halves of the classes are for comparing with papers: of data of one's own, all are learned.
    """
    return BASE_TO_NEW if is_shared(data, recipe) else ALL_CLASSES


def published_data(name: str, protocol: str) -> dict[str, Any]:
    """Return the model and the data sets of a published run, as fields of a config.

    Args:
      name: Of one of the papers' data sets.
      protocol: The protocol.
    """
    return {
        "model": MODEL,
        "data": f"coop:data/{COOP_SETS[name].folder}",
        "targets": tuple(f"coop:data/{folder}" for folder in TARGETS[protocol]),
    }


def published_sentences(name: str) -> str:
    """Return where the sentences about a data set's classes are looked for."""
    return f"data/gpt/{COOP_SETS[name].sentences}"
