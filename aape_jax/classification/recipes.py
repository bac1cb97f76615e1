"""The paper's data sets and protocols, as fields of `configs/aape.py`.

Sources: section 4 of the paper; the protocols are CoOp's and CoCoOp's (arXiv 2109.01134,
2203.05557). Cross-dataset transfer is not in the paper.
"""

from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from aape_jax.core.presets import preset
from common.checks import check_choice
from common.config import changed, flatten
from common.data.coop_sets import (
    COOP_SETS,
    IMAGENET,
    IMAGENET_VARIANTS,
    MODEL,
    identify,
    own_template,
)
from common.errors import UserError

PLAIN = "a photo of a {}"

AUTO, BASE_TO_NEW, ALL_CLASSES = "auto", "base_to_new", "all_classes"
PAPERS_SHOTS = 16
POCKET = "pocket:"

PROTOCOLS: dict[str, dict[str, Any]] = {
    "base_to_new": {"subsample": "base", "schedule": "short", "targets": ()},
    "all_classes": {"subsample": "all", "schedule": "coop", "targets": ()},
    "domain_generalisation": {
        "subsample": "all",
        "schedule": "coop",
        "targets": tuple(IMAGENET_VARIANTS.values()),
    },
    "cross_dataset": {
        "subsample": "all",
        "schedule": "coop",
        "targets": tuple(known.folder for name, known in COOP_SETS.items() if name != IMAGENET),
    },
}
"""What each protocol sets for one of the paper's data sets; targets are folders."""

POCKET_TARGETS = {
    "domain_generalisation": ("pocket:rare_sketch",),
    "cross_dataset": ("pocket:second",),
}


def recipe(paper: str, protocol: str) -> dict[str, Any]:
    """Return the fields that a protocol sets for one of the paper's data sets, or "" for others.

    Raises:
      UserError: either is unknown, or the paper learns from ImageNet alone here.
    """
    if protocol == AUTO and not paper:
        return {"subsample": AUTO, "targets": ()}  # `with_defaults` knows by the data.
    protocol, shots = (BASE_TO_NEW if protocol == AUTO else protocol), {"shots": PAPERS_SHOTS}
    check_choice("protocol", protocol, PROTOCOLS)
    fields = PROTOCOLS[protocol]
    if not paper:
        return {"subsample": fields["subsample"], "targets": POCKET_TARGETS.get(protocol, ())}
    check_choice("paper", paper, COOP_SETS)
    if fields["targets"] and paper != IMAGENET:
        raise UserError(f"protocol={protocol} learns from paper=imagenet, not from {paper}.")
    known = COOP_SETS[paper]
    return {
        **fields,
        **shots,
        "targets": tuple(f"coop:data/{folder}" for folder in fields["targets"]),
        "model": MODEL,
        "data": f"coop:data/{known.folder}",
        "classes": known.classes,
        "prompts.source": f"json:data/gpt/{known.sentences}",
        "prompts.padded": 90,
    }


def with_defaults(config: ConfigDict) -> ConfigDict:
    """Fill in "auto": of data of one's own, all classes and photos are learned from.

    The first half of the classes and a few shots are for comparing with papers.
    """
    of_papers = bool(config.paper) or config.data.startswith(POCKET)
    fields: dict[str, Any] = {}
    if config.protocol == AUTO:
        fields["protocol"] = BASE_TO_NEW if of_papers else ALL_CLASSES
    if config.subsample == AUTO:
        fields["subsample"] = "base" if of_papers else "all"
    if config.shots == -1:
        fields["shots"] = PAPERS_SHOTS if of_papers else 0
    return changed(config, fields)


def check_applied(config: ConfigDict) -> None:
    """Refuse names that came too late to set the fields that they stand for.

    Raises:
      UserError: `preset`, `paper` or `protocol` was given as an override.
    """
    own = (f"preset={config.preset}", preset(config.preset), preset("default"))
    named = f"paper={config.paper},protocol={config.protocol}"
    source = (named, recipe(config.paper, config.protocol), recipe("", AUTO))
    held = flatten(config)
    for name, fields, usual in (own, source):
        wanted = {key: value for key, value in fields.items() if usual.get(key) != value}
        if wanted and not any(held[key] == value for key, value in wanted.items()):
            raise UserError(
                f"{name} stands for other fields, none of which is set: write it behind the "
                f"colon, --config=configs/aape.py:{name}."
            )


def class_template(template: str, dataset: str) -> str:
    """Return the text that the class names of a data set are filled into.

    Args:
      template: "plain", "coop" or the text itself.
      dataset: The data set's string, by which CoOp's template is found.

    Raises:
      UserError: CoOp has none for this data set, or the text has no place for the name.
    """
    name = identify(Path(dataset.partition(":")[2]).name)
    if template == "coop" and name not in {*COOP_SETS, *IMAGENET_VARIANTS}:
        raise UserError(
            f"classifier.template=coop: CoOp has no template for {dataset!r}; write plain or the "
            "text itself."
        )
    text = {"plain": PLAIN, "coop": own_template(name)}.get(template, template)
    if text.count("{}") != 1:
        raise UserError(f"classifier.template={template!r} needs one {{}} for the class name.")
    return text
