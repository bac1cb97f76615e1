"""What every form of the aggregator takes and gives."""

from typing import Any, Protocol, runtime_checkable

import flax.struct
from jaxtyping import Array, Float, Key, PyTree

from aape_jax.core.unit import masked_mean


@flax.struct.dataclass
class AggregatorInput:
    """What an aggregator reads for a batch; the prompts are those of each image's own class.

    Attributes:
      prompts: Unit-length prompt features, padded, `[b n p]`.
      mask: Which of them there are, `[b n]`.
      x: Unit-length image features, `[b p]`.
      token: Which learnable token belongs to each image, `[b]`.
    """

    prompts: Any
    mask: Any
    x: Any
    token: Any

    @property
    def mean(self) -> Float[Array, "b p"]:
        """pbar of each image's class."""
        return masked_mean(self.prompts, self.mask)


@flax.struct.dataclass
class AggregatorOutput:
    """What an aggregator gives.

    Attributes:
      p_a: `[b m p]`.
      attention: Weights over the prompts that sum to one, `[b m n]`; None where it has none.
    """

    p_a: Any
    attention: Any


@runtime_checkable
class Aggregator(Protocol):
    """A form of the aggregator."""

    def init(self, key: Key[Array, ""], width: int, tokens: int) -> PyTree:
        """Return parameters for joint width `width` and `tokens` learnable tokens."""

    def __call__(
        self, params: PyTree, inputs: AggregatorInput, key: Key[Array, ""]
    ) -> AggregatorOutput:
        """Aggregate; `key` is for the forms that draw."""
