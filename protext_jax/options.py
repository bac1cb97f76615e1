"""What a config of ProText may say, and what it leaves to the data."""

from typing import Any

from ml_collections import ConfigDict

from common.checks import Range, Unread, check_choices, check_ranges, check_unread
from common.config import changed
from common.data.templates import TEMPLATES
from common.errors import UserError
from common.protocols.table import AUTO, POCKET, PROTOCOLS, usual_protocol
from configs.protext import defaults
from protext_jax.templates import ATTRIBUTES

NO_IMAGES = "none"
POCKET_HELD_OUT, PLENTY = 2, 10
"""Sentences per class that are held out, and how many a class must have, where the config does not
say: a few sentences of one's own are all learned from."""

RANGES = {
    **{name: Range(1) for name in ("length", "depth", "batch", "epochs", "grid.epochs")},
    **dict.fromkeys(("learning_rate", "grid.learning_rate"), Range(0, 1e6, above=True)),
    **{"held_out": Range(-1), "early_stop": Range(0), "early_stop_gain": Range(0)},
    **{"held_out_classes": Range(0), "blend": Range(-1, 1)},
}

SOURCES = {"templates": TEMPLATES["imagenet"], "attributes": ATTRIBUTES}
"""Sources of targets that need no language model: the class name in many templates."""

UNREAD = (
    Unread({"prompts.kind": tuple(SOURCES)}, ("prompts.pattern",), "prompts.kind=sentences"),
    Unread({"prompts.source": ("pocket",)}, ("prompts.pattern",), "prompts.source=FILE.json"),
    Unread({"sweep": (False,)}, ("grid.learning_rate", "grid.epochs", "grid.seed"), "sweep=true"),
    Unread({"early_stop": (0,)}, ("early_stop_gain",), "early_stop above 0"),
)
"""Fields that only some runs have."""

BY_TEXT = -1
"""The value of `blend` that leaves it to held-out sentences."""


def with_data(config: ConfigDict) -> ConfigDict:
    """Fill in what is "auto": a file of prompts is enough, and one's own data are all used."""
    fields: dict[str, Any] = {}
    if config.data == AUTO:
        fields["data"] = NO_IMAGES if prompts_file(config) else "pocket:rare"
    data = fields.get("data", config.data)
    pocket = data.startswith(POCKET)
    if tuple(config.targets) == (AUTO,):
        fields["targets"] = ("pocket:second", "pocket:rare_sketch") if pocket else ()
    if config.protocol == AUTO:
        fields["protocol"] = usual_protocol(data, config.recipe)
    if config.held_out == -1 and pocket and not prompts_file(config):
        fields["held_out"] = POCKET_HELD_OUT
    return changed(config, fields)


def prompts_file(config: ConfigDict) -> str:
    """Return the JSON file of the prompts; "" for the pocket world's."""
    kind, _, file = config.prompts.source.partition(":")
    return file if kind == "json" else ""


def held_out_of(config: ConfigDict, sentences: int) -> int:
    """Return how many of a class's sentences are held out; one is always learned from."""
    count = config.held_out
    if count == -1:
        count = POCKET_HELD_OUT if sentences >= PLENTY else 0
    return min(count, sentences - 1)


def check_options(config: ConfigDict) -> None:
    """Refuse options that do not fit, before time is spent.

    Raises:
      UserError: It names the option.
    """
    check_ranges(config, RANGES)
    check_choices(config, {"protocol": PROTOCOLS})
    check_unread(config, defaults(), UNREAD)
    if config.early_stop and (config.sweep or not config.eval_every or not config.held_out):
        raise UserError(
            f"early_stop={config.early_stop} goes by evaluations of one run on held-out sentences: "
            "give eval_every and held_out above 0, and no sweep."
        )
    if BY_TEXT < config.blend < 0:
        raise UserError(
            f"blend={config.blend:g} is out of range: give a share from 0 to 1, or {BY_TEXT} to "
            "leave it to held-out sentences."
        )
    if config.faithful.half and config.fast:
        raise UserError(
            "faithful.half=True rounds the gradient of every pair by itself, which the shared "
            "work of fast=True does not have: say fast=False, too."
        )
