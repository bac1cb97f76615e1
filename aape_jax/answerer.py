"""Answers as classes: a compact head for machines without a language model.

This is not the paper's way, which lets a language model write the answer. It shows in seconds
what h(x) adds to an image and a question.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree
from ml_collections import ConfigDict

from common.errors import UserError

INPUTS = ("image", "aape", "question")


@dataclass(frozen=True)
class Answerer:
    """Two layers with a ReLU between, over the inputs side by side.

    Attributes:
      inputs: Which of `INPUTS` it reads.
      hidden: Width between the layers.
    """

    inputs: tuple[str, ...]
    hidden: int

    @classmethod
    def from_config(cls, config: ConfigDict) -> "Answerer":
        """Reads `config.inputs` and `config.hidden`.

        Raises:
          UserError: an option is out of range.
        """
        unknown = [name for name in config.inputs if name not in INPUTS]
        if unknown or not config.inputs:
            raise UserError(
                f"inputs={tuple(config.inputs)}: choose one or more of {', '.join(INPUTS)}."
            )
        if config.hidden < 1:
            raise UserError(f"hidden={config.hidden} must be at least 1.")
        return cls(tuple(config.inputs), config.hidden)

    def init(self, key: Key[Array, ""], width: int, answers: int) -> PyTree:
        """He's start; each input's share of the first layer is a matrix of its own."""
        *keys, last = jax.random.split(key, len(self.inputs) + 1)
        start = jax.nn.initializers.he_normal()
        first = {
            name: start(own, (width, self.hidden))
            for name, own in zip(self.inputs, keys, strict=True)
        }
        return {
            "first": first,
            "first_bias": jnp.zeros(self.hidden),
            "second": start(last, (self.hidden, answers)),
            "second_bias": jnp.zeros(answers),
        }

    def __call__(
        self, params: PyTree, given: Mapping[str, Float[Array, "q p"]]
    ) -> Float[Array, "q a"]:
        """Logits of the answers to some questions, from unit-length inputs by name."""
        first = params["first"]
        # Entries of unit vectors are small; He's start expects a size of one.
        scale = given["image"].shape[-1] ** 0.5
        hidden = params["first_bias"] + sum(scale * given[name] @ first[name] for name in first)
        return jax.nn.relu(hidden) @ params["second"] + params["second_bias"]
