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

from common.checks import Range, check_ranges
from common.choices import check_choice
from common.errors import UserError

INPUTS = ("image", "aape", "question")
FUSIONS = ("sum", "product")


@dataclass(frozen=True)
class Answerer:
    """Two layers with a ReLU between, over the inputs side by side.

    Attributes:
      inputs: Which of `INPUTS` it reads.
      hidden: Width between the layers.
      fusion: "product" multiplies the image's half of the hidden layer with the question's,
        which agrees on one thing and another more readily than their sum does (arXiv 1708.02711).
    """

    inputs: tuple[str, ...]
    hidden: int
    fusion: str = "sum"

    @classmethod
    def from_config(cls, config: ConfigDict) -> "Answerer":
        """Read `config.inputs`, `config.hidden` and `config.fusion`.

        Raises:
          UserError: An option is out of range.
        """
        unknown = [name for name in config.inputs if name not in INPUTS]
        if unknown or not config.inputs:
            raise UserError(
                f"inputs={tuple(config.inputs)}: choose one or more of {', '.join(INPUTS)}."
            )
        check_ranges(config, {"hidden": Range(1)})
        check_choice("fusion", config.fusion, FUSIONS)
        return cls(tuple(config.inputs), config.hidden, config.fusion)

    def init(self, key: Key[Array, ""], width: int, answers: int) -> PyTree:
        """Draw He's initialisation; each input has its own matrix in the first layer."""
        *keys, last = jax.random.split(key, len(self.inputs) + 1)
        start = jax.nn.initializers.he_normal()
        first = {
            name: start(key, (width, self.hidden))
            for name, key in zip(self.inputs, keys, strict=True)
        }
        bias = {"question_bias": jnp.zeros(self.hidden)} if self._multiplies else {}
        return bias | {
            "first": first,
            "first_bias": jnp.zeros(self.hidden),
            "second": start(last, (self.hidden, answers)),
            "second_bias": jnp.zeros(answers),
        }

    def __call__(
        self, params: PyTree, inputs: Mapping[str, Float[Array, "q p"]]
    ) -> Float[Array, "q a"]:
        """Return the logits of the answers to some questions, from unit-length inputs by name."""
        first = params["first"]
        # Entries of unit vectors are small; He's start expects a size of one.
        scale = inputs["question"].shape[-1] ** 0.5
        read = [name for name in first if not (self._multiplies and name == "question")]
        hidden = params["first_bias"] + sum(scale * inputs[name] @ first[name] for name in read)
        hidden = jax.nn.relu(hidden)
        if self._multiplies:
            question = scale * inputs["question"] @ first["question"] + params["question_bias"]
            hidden *= jax.nn.relu(question)
        return hidden @ params["second"] + params["second_bias"]

    @property
    def _multiplies(self) -> bool:
        """Whether there are two halves, and a product of them is wanted."""
        return self.fusion == "product" and "question" in self.inputs and len(self.inputs) > 1
