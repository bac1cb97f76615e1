"""Named settings, and the variants of a run that are trained beside it."""

from collections.abc import Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from common.choices import check_choice
from common.config import changed, flatten
from common.progress import say

OWN = "aape"
"""The run's own variant, whose metrics carry no prefix."""

# An aggregator that can only re-weight prompts, and a g with a path for w that starts at zero-shot
# CLIP.
GENTLE: dict[str, Any] = {
    "aggregator.kind": "anchored",
    "aggregator.heads": 1,
    "projection.kind": "bottleneck",
    "projection.residual_alpha": 0.2,
    "projection.residual": "mix",
    "projection.zero_init": True,
    "projection.identity_init": False,
    "projection.out_relu": False,
}

PRESETS: dict[str, dict[str, Any]] = {
    # h alone, which starts as CLIP's own query and is held by the distillation at what sentences
    # say; these stand for the classes, too. g is that of the variants with one.
    "residual": GENTLE
    | {
        "classifier.mode": "aape_only",
        "classifier.classes": "sentences",
        "classifier.blend": 0.7,
        "generator.residual": "image",
        "generator.hidden": 256,
        "loss.lambda": 1.0,
        "learning_rate": 2e-3,
        "compare": ("no_distillation", "with_g", "mean_prompt"),
    },
    # h and g as the paper counts their parameters. As a fifth of the classifier, g needs ten times
    # CoOp's rate.
    "projection": GENTLE | {"learning_rate": 2e-2},
    # The text to the letter, at CoOp's rate.
    "paper": {
        "aggregator.kind": "paper",
        "aggregator.heads": 8,
        "projection.kind": "bottleneck",
        "projection.residual_alpha": 1.0,
        "projection.residual": "mix",
        "projection.zero_init": False,
        "projection.identity_init": False,
        "projection.out_relu": False,
        "learning_rate": 2e-3,
    },
    # "One fully connected layer with ReLU", started at the class feature.
    "full_fc": {
        "aggregator.kind": "anchored",
        "aggregator.heads": 1,
        "projection.kind": "fc",
        "projection.residual_alpha": 1.0,
        "projection.residual": "mix",
        "projection.zero_init": False,
        "projection.identity_init": True,
        "projection.out_relu": True,
        "learning_rate": 2e-3,
    },
    # The same with CLIP-Adapter's ratio, which mixes class features here, not those of images.
    "adapter_projection": {
        "aggregator.kind": "anchored",
        "aggregator.heads": 1,
        "projection.kind": "fc",
        "projection.residual_alpha": 0.2,
        "projection.residual": "mix",
        "projection.zero_init": False,
        "projection.identity_init": False,
        "projection.out_relu": True,
        "learning_rate": 2e-3,
    },
}

DEFAULT = "residual"
"""What `configs/aape.py` takes."""

USUAL: dict[str, Any] = {
    "classifier.mode": "template_and_aape",
    "classifier.classes": "template",
    "classifier.blend": 1.0,
    "generator.residual": "none",
    "generator.hidden": 32,
    "loss.lambda": 5.0,
    "compare": ("no_distillation", "aape_only", "mean_prompt"),
}
"""What all presets but "residual" have in common, unless they say otherwise."""

# The rate that suits a fifth of the classifier is too much for all of it.
ALONE = {"classifier.mode": "aape_only", "learning_rate": 2e-3}

VARIANTS: dict[str, dict[str, Any]] = {
    **PRESETS,
    "no_distillation": {"loss.distill": False},
    "aape_only": ALONE,
    "with_g": {"classifier.mode": "template_and_aape", "learning_rate": 2e-2},
    "mean_prompt": {"aggregator.kind": "mean"},
    "mean_prompt_only": {"aggregator.kind": "mean"} | ALONE,
    "random_prompt": {"aggregator.kind": "random"},
    "mlp_prompt": {"aggregator.kind": "mlp"},
    "attention_prompt": {"aggregator.kind": "paper", "aggregator.heads": 8},
}
"""Differences from the run's own config by name; presets count as such."""

AFTERWARDS = ("classifier.blend",)
"""Fields that training does not read: what differs in them alone is learned once, so that they may
be changed on a folder."""

ALWAYS = ("paper",)
"""Trained beside every classifier, unless it is that itself."""


def preset(name: str) -> Mapping[str, Any]:
    """Return the fields that a preset sets.

    Raises:
      UserError: There is none of that name.
    """
    check_choice("preset", name, PRESETS)
    return USUAL | PRESETS[name]


def class_kinds(config: ConfigDict) -> frozenset[str]:
    """Return what stands for the classes in a classifier's run and in the variants beside it."""
    return frozenset(x.classifier.classes for x in variants(config, always=ALWAYS).values())


def variants(
    config: ConfigDict,
    table: Mapping[str, Mapping[str, Any]] = VARIANTS,
    always: Sequence[str] = (),
) -> dict[str, ConfigDict]:
    """Return the run's own config as "aape", then those variants that differ from all before them.

    Args:
      config: The run's; `compare` names variants.
      table: What each variant changes.
      always: Variants that come first, named or not.

    Raises:
      UserError: `compare` names an unknown variant.
    """
    return {names[0]: variant for variant, names in _distinct(config, table, always)}


def say_repeated(
    config: ConfigDict,
    table: Mapping[str, Mapping[str, Any]] = VARIANTS,
    always: Sequence[str] = (),
) -> None:
    """Print which variants of `compare` are no rows of their own, since they equal another.

    Args:
      config, table, always: As `variants` takes them.
    """
    equal = [
        f"{name} is {names[0]}"
        for _, names in _distinct(config, table, always)
        for name in names[1:]
        if name in config.compare
    ]
    if equal:
        say(f"compare: {', '.join(equal)}: trained once.")


def _distinct(
    config: ConfigDict, table: Mapping[str, Mapping[str, Any]], always: Sequence[str]
) -> list[tuple[ConfigDict, list[str]]]:
    """Return each config that is to be trained, with the names that mean it."""
    found, known = [(config, [OWN])], [_learned(config)]
    for name in dict.fromkeys((*always, *config.compare)):
        check_choice("compare", name, table)
        # A preset beside another undoes what that one sets and it does not name itself.
        fields = {**_undone(config, name), **table[name], "compare": config.compare}
        variant = changed(config, fields)
        if (values := _learned(variant)) in known:
            found[known.index(values)][1].append(name)
        else:
            found.append((variant, [name]))
            known.append(values)
    return found


def _learned(config: ConfigDict) -> dict[str, Any]:
    return {name: value for name, value in flatten(config).items() if name not in AFTERWARDS}


def _undone(config: ConfigDict, name: str) -> dict[str, Any]:
    """Return the fields that another preset resets, but for those that the user set."""
    if name not in PRESETS or "preset" not in config:
        return {}
    ours, values = preset(config.preset), flatten(config)
    return {field: value for field, value in USUAL.items() if values[field] == ours[field]}
