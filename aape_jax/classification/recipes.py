"""The paper's data sets and protocols, as fields of `configs/aape.py`.

Sources: section 4 of the paper; the protocols are CoOp's and CoCoOp's (arXiv 2109.01134,
2203.05557). Cross-dataset transfer is not in the paper.
"""

from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from aape_jax.core.presets import DEFAULT, preset
from common.choices import check_choice
from common.config import changed, flatten
from common.data.coop_sets import (
    COOP_SETS,
    IMAGENET,
    IMAGENET_VARIANTS,
    identify,
    own_template,
)
from common.errors import UserError
from common.protocols.table import (
    ALL_CLASSES,
    AUTO,
    BASE_TO_NEW,
    CROSS_DATASET,
    DOMAIN_GENERALISATION,
    PROTOCOLS,
    TARGETS,
    is_shared,
    published_data,
    published_sentences,
    usual_protocol,
)

PLAIN = "a photo of a {}"

PAPERS_SHOTS = 16

FIELDS: dict[str, dict[str, Any]] = {
    BASE_TO_NEW: {"subsample": "base", "schedule": "short"},
    ALL_CLASSES: {"subsample": "all", "schedule": "coop"},
    CROSS_DATASET: {"subsample": "all", "schedule": "coop"},
    DOMAIN_GENERALISATION: {"subsample": "all", "schedule": "coop"},
}
"""What each protocol sets beside data sets."""

POCKET_TARGETS = {
    DOMAIN_GENERALISATION: ("pocket:rare_sketch",),
    CROSS_DATASET: ("pocket:second",),
}


def recipe(name: str, protocol: str) -> dict[str, Any]:
    """Return the fields that a protocol sets for one of the paper's data sets, or "" for others.

    Raises:
      UserError: Either is unknown, or the paper learns from ImageNet alone here.
    """
    if protocol == AUTO and not name:
        return {"subsample": AUTO, "targets": ()}  # `with_defaults` knows by the data.
    protocol, shots = (BASE_TO_NEW if protocol == AUTO else protocol), {"shots": PAPERS_SHOTS}
    check_choice("protocol", protocol, PROTOCOLS)
    fields = FIELDS[protocol]
    if not name:
        return {"subsample": fields["subsample"], "targets": POCKET_TARGETS.get(protocol, ())}
    check_choice("recipe", name, COOP_SETS)
    if TARGETS[protocol] and name != IMAGENET:
        raise UserError(f"protocol={protocol} learns from recipe=imagenet, not from {name}.")
    return {
        **fields,
        **shots,
        **published_data(name, protocol),
        "classes": COOP_SETS[name].classes,
        "prompts.source": f"json:{published_sentences(name)}",
        "prompts.padded": 90,
    }


def with_defaults(config: ConfigDict) -> ConfigDict:
    """Fill in "auto": of data of one's own, all classes and photos are learned from.

    The first half of the classes and a few shots are for comparing with papers.
    """
    of_papers = is_shared(config.data, config.recipe)
    fields: dict[str, Any] = {}
    if config.protocol == AUTO:
        fields["protocol"] = usual_protocol(config.data, config.recipe)
    if config.subsample == AUTO:
        fields["subsample"] = "base" if of_papers else "all"
    if config.shots == -1:
        fields["shots"] = PAPERS_SHOTS if of_papers else 0
    return changed(config, fields)


def check_applied(config: ConfigDict) -> None:
    """Refuse names that came too late to set the fields that they stand for.

    Raises:
      UserError: `preset`, `recipe` or `protocol` was given as an override.
    """
    by_preset = (f"preset={config.preset}", preset(config.preset), preset(DEFAULT))
    names = f"recipe={config.recipe},protocol={config.protocol}"
    by_recipe = (names, recipe(config.recipe, config.protocol), recipe("", AUTO))
    values = flatten(config)
    for name, fields, usual in (by_preset, by_recipe):
        expected = {key: value for key, value in fields.items() if usual.get(key) != value}
        if expected and not any(values[key] == value for key, value in expected.items()):
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
