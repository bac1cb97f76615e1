"""The forms by name, and the choice between them."""

from ml_collections import ConfigDict

from aape_jax.core.aggregators.anchored import AnchoredAttention
from aape_jax.core.aggregators.paper import NORMS, Paper
from aape_jax.core.aggregators.simple import MLP, Mean, Random
from aape_jax.core.aggregators.types import Aggregator
from common.checks import POSITIVE, Range, check_choices, check_ranges

AGGREGATORS = {
    "anchored": lambda c: AnchoredAttention(c.num_outputs, c.heads, c.init_scale),
    "paper": lambda c: Paper(c.num_outputs, c.heads, c.ffn_mult, c.norm),
    "mean": lambda c: Mean(),
    "random": lambda c: Random(),
    "mlp": lambda c: MLP(c.mlp_hidden),
}

MIXES = (AnchoredAttention, Mean, Random)
"""Forms whose result is a mix of the prompts, however far from their mean."""

CHOICES = {"kind": AGGREGATORS, "norm": NORMS, "token": ("class", "image", "none")}
RANGES = {
    **{name: Range(1) for name in ("num_outputs", "heads", "ffn_mult", "mlp_hidden")},
    "init_scale": POSITIVE,
    "rate_factor": Range(0),
}


def make_aggregator(config: ConfigDict) -> Aggregator:
    """Return the form that `aggregator.kind` names.

    Raises:
      UserError: An option is out of range.
    """
    check_choices(config, CHOICES, "aggregator.")
    check_ranges(config, RANGES, "aggregator.")
    return AGGREGATORS[config.kind](config)
