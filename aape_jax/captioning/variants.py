"""The variants that a captioning run trains side by side, and where they start."""

from collections.abc import Mapping
from dataclasses import dataclass

import jax
from jaxtyping import Array, Key, PyTree
from ml_collections import ConfigDict

from aape_jax.captioning.prefix import Prefix, linear
from aape_jax.core.objective import Objective, prompt_objective
from aape_jax.core.presets import OWN, variants
from common.errors import UserError

BASELINE = "none"
"""The row without AAPE: the same language model behind the same visual map."""

VARIANTS = {
    "before_visual": {"lm.aape_position": "before_visual"},
    "after_visual": {"lm.aape_position": "after_visual"},
    "no_distillation": {"loss.distill": False},
}


@dataclass(frozen=True)
class CaptionVariant:
    """One variant: h, its aggregator, and where its tokens stand."""

    prefix: Prefix
    objective: Objective


def caption_variants(config: ConfigDict) -> dict[str, CaptionVariant]:
    """Return the run's own variant and those of `config.compare`, but for those without AAPE.

    Raises:
      UserError: An option is out of range, or only variants beside the run have AAPE.
    """
    candidates = {
        name: CaptionVariant(Prefix.from_config(variant.lm), prompt_objective(variant))
        for name, variant in variants(config, VARIANTS).items()
    }
    known = {name: variant for name, variant in candidates.items() if variant.prefix.has_aape}
    if known and OWN not in known:
        raise UserError(
            f"lm.aape_position={config.lm.aape_position!r} leaves the run without AAPE, and "
            f"compare={tuple(config.compare)} asks for it: set compare=() or another position."
        )
    return known


def initial(
    known: Mapping[str, CaptionVariant],
    key: Key[Array, ""],
    channels: int,
    width: int,
    images: int,
    lm_width: int,
) -> PyTree:
    """Return parameters of known variants, all from the same key.

    Args:
      known: The variants.
      key: They start from.
      channels: Of a cell of the image tower.
      width: Of its features.
      images: To learn from.
      lm_width: Of the language model.
    """
    visual, teacher, token = jax.random.split(key, 3)
    trainable = {"visual": {"map": linear(visual, channels, lm_width)}}
    for name, variant in known.items():
        params = variant.objective.init(teacher, width, images, images)
        params["head"]["token"] = variant.prefix.init(token, width, lm_width)
        trainable[name] = params
    return trainable
