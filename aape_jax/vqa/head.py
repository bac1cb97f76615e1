"""What a run that answers by a head keeps of a variant: its tower, h and the answerer."""

from collections.abc import Mapping
from dataclasses import dataclass

import jax
from jaxtyping import Array, Float, Key, PyTree
from ml_collections import ConfigDict

from aape_jax.core.generator import Generator
from aape_jax.core.unit import unit
from aape_jax.vqa.answerer import Answerer
from aape_jax.vqa.towers import Tower, make_tower


@dataclass(frozen=True)
class VQAHead:
    """Image and question to answer.

    Attributes:
      tower: Gives x.
      generator: h.
      answerer: Chooses.
    """

    tower: Tower
    generator: Generator
    answerer: Answerer

    @classmethod
    def from_config(cls, config: ConfigDict) -> "VQAHead":
        """Read the fields of its parts.

        Raises:
          UserError: An option is out of range.
        """
        return cls(
            make_tower(config),
            Generator.from_config(config.generator),
            Answerer.from_config(config),
        )

    @property
    def has_aape(self) -> bool:
        """Whether the answerer reads h(x)."""
        return "aape" in self.answerer.inputs

    @property
    def looks(self) -> bool:
        """Whether the answerer reads anything of the image."""
        return self.has_aape or "image" in self.answerer.inputs

    def init(self, key: Key[Array, ""], width: int, answers: int) -> PyTree:
        """Return the parameters of those parts that the answerer reads."""
        tower, generator, answerer = jax.random.split(key, 3)
        params = {"answerer": self.answerer.init(answerer, width, answers)}
        if self.looks and (trained := self.tower.init(tower, width)):
            params["tower"] = trained
        if self.has_aape:
            params["generator"] = self.generator.init(generator, width)
        return params

    def look(self, params: PyTree, seen: Array) -> dict[str, Float[Array, "b p"]]:
        """Return x as "image" and h(x) as "aape" where they are read; x has unit length."""
        if not self.looks:
            return {}
        x = self.tower(params.get("tower", {}), seen)
        return {"image": x} | (
            {"aape": self.generator(params["generator"], x)} if self.has_aape else {}
        )

    def answer(
        self,
        params: PyTree,
        features: Mapping[str, Float[Array, "q p"]],
        questions: Float[Array, "q p"],
    ) -> Float[Array, "q a"]:
        """Return the logits of the answers to one question about each image."""
        inputs = {name: unit(x) for name, x in features.items()}
        return self.answerer(params["answerer"], inputs | {"question": questions})
