"""The forms by name, and the choice between them."""

from ml_collections import ConfigDict

from aape_jax.aggregators.anchored import Anchored
from aape_jax.aggregators.paper import NORMS, Paper
from aape_jax.aggregators.simple import MLP, Mean, Random
from aape_jax.aggregators.types import Aggregator
from common.errors import UserError

AGGREGATORS = {
    "anchored": lambda c: Anchored(c.num_outputs, c.heads, c.init_scale),
    "paper": lambda c: Paper(c.num_outputs, c.heads, c.ffn_mult, c.norm),
    "mean": lambda c: Mean(),
    "random": lambda c: Random(),
    "mlp": lambda c: MLP(c.mlp_hidden),
}

TOKENS = ("class", "image", "none")


def make_aggregator(config: ConfigDict) -> Aggregator:
    """The form that `aggregator.kind` names.

    Raises:
      UserError: an option is out of range.
    """
    choices = {"kind": tuple(AGGREGATORS), "norm": tuple(NORMS), "token": TOKENS}
    for name, known in choices.items():
        if config[name] not in known:
            raise UserError(
                f"aggregator.{name}={config[name]!r} is unknown; choose one of {', '.join(known)}."
            )
    for name in ("num_outputs", "heads", "ffn_mult", "mlp_hidden"):
        if config[name] < 1:
            raise UserError(f"aggregator.{name}={config[name]} must be at least 1.")
    if config.init_scale <= 0:
        raise UserError(f"aggregator.init_scale={config.init_scale} must be positive.")
    return AGGREGATORS[config.kind](config)
