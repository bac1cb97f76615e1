"""The prompt generator h: image feature to prompt feature, in two layers (paper, section 3.2)."""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree
from ml_collections import ConfigDict

from common.checks import Range, check_choices, check_ranges

RESIDUALS = ("none", "image")


@dataclass(frozen=True)
class Generator:
    """`h(x) = W2 relu(W1 x)`; h(x) is what the paper calls AAPE.

    Attributes:
      hidden: Width between the layers; 0 takes a sixteenth of the joint width, which gives the
        paper's 33k parameters at 512.
      bias: Whether the layers have biases; the paper's count leaves no room for them.
      residual: "image" adds x to the result.
    """

    hidden: int = 32
    bias: bool = False
    residual: str = "none"

    @classmethod
    def from_config(cls, config: ConfigDict) -> "Generator":
        """Read `config.generator`.

        Raises:
          UserError: An option is out of range.
        """
        check_ranges(config, {"hidden": Range(0)}, "generator.")
        check_choices(config, {"residual": RESIDUALS}, "generator.")
        return cls(config.hidden, config.bias, config.residual)

    def init(self, key: Key[Array, ""], width: int) -> PyTree:
        """Draw normal weights such that |h(x)| is about 1 for |x| = 1."""
        hidden = self.hidden or max(1, width // 16)
        down, up = jax.random.split(key)
        params = {
            "down": math.sqrt(2 / hidden) * jax.random.normal(down, (width, hidden)),
            "up": math.sqrt(1 / width) * jax.random.normal(up, (hidden, width)),
        }
        if self.residual == "image":  # Starts as CLIP's own query.
            params["up"] = jnp.zeros((hidden, width))
        if self.bias:
            params |= {"down_bias": jnp.zeros(hidden), "up_bias": jnp.zeros(width)}
        return params

    def __call__(self, params: PyTree, x: Float[Array, "b p"]) -> Float[Array, "b p"]:
        """Return h(x) of unit-length image features, not normalised."""
        hidden = jax.nn.relu(x @ params["down"] + params.get("down_bias", 0))
        generated = hidden @ params["up"] + params.get("up_bias", 0)
        return generated + x if self.residual == "image" else generated
