"""The input-adapted prompt aggregator: n reference prompts to one, `p_a` (paper, section 3.1).

It teaches the generator and is thrown away. The paper's text leaves its form open, so there is
a table of them; each is a frozen dataclass of sizes with `init` and `__call__`.
"""

from aape_jax.core.aggregators.table import AGGREGATORS, MIXES, make_aggregator
from aape_jax.core.aggregators.types import Aggregator, AggregatorInput, AggregatorOutput

__all__ = [
    "AGGREGATORS",
    "MIXES",
    "Aggregator",
    "AggregatorInput",
    "AggregatorOutput",
    "make_aggregator",
]
