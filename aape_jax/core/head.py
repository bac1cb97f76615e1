"""What is kept of AAPE after training: h and g as a classifier of images."""

import math
from dataclasses import dataclass

import jax
from jaxtyping import Array, Float, Key, PyTree
from ml_collections import ConfigDict

from aape_jax.core.class_features import CLASS_FEATURES, TEMPLATE
from aape_jax.core.generator import Generator
from aape_jax.core.logits import cosines
from aape_jax.core.projection import Projection
from aape_jax.core.unit import unit
from common.checks import POSITIVE, Range, check_choices, check_ranges

MODES = ("template_and_aape", "aape_only", "template_only")


@dataclass(frozen=True)
class Head:
    """The classifier `softmax_c cos(x, w_c(x)) / tau`.

    Attributes:
      generator: h.
      projection: g.
      mode: "aape_only" asks `cos(h(x), w_c)` instead and has no g (paper, table 5);
        "template_only" is zero-shot CLIP.
      tau: CLIP's own is 0.01.
      classes: What `w_c` is made of, a key of `CLASS_FEATURES`.
      blend: Of "aape_only", the share of h(x) in what asks; the rest is x. Training has 1, and less
        afterwards is weights between CLIP's and the trained ones (arXiv 2109.01903) where h(x) is
        x + MLP(x).
    """

    generator: Generator
    projection: Projection
    mode: str = "template_and_aape"
    tau: float = 0.01
    classes: str = TEMPLATE
    blend: float = 1.0

    @classmethod
    def from_config(cls, config: ConfigDict) -> "Head":
        """Read `generator`, `projection`, `loss.tau`, and all of `classifier` but its template.

        Raises:
          UserError: An option is out of range.
        """
        check_choices(config, {"classifier.mode": MODES, "classifier.classes": CLASS_FEATURES})
        check_ranges(config, {"loss.tau": POSITIVE, "classifier.blend": Range(0, 1)})
        return cls(
            Generator.from_config(config.generator),
            Projection.from_config(config.projection),
            config.classifier.mode,
            config.loss.tau,
            config.classifier.classes,
            config.classifier.blend,
        )

    def init(self, key: Key[Array, ""], width: int) -> PyTree:
        """Return the parameters of h, and of g where there is one, for a joint width."""
        generator, projection = jax.random.split(key)
        params = {"generator": self.generator.init(generator, width)}
        if self.mode == "template_and_aape":
            params["projection"] = self.projection.init(projection, width)
        return params

    def shapes(self, width: int) -> PyTree:
        """Return what `init` would give, as shapes and dtypes."""
        return jax.eval_shape(lambda key: self.init(key, width), jax.random.key(0))

    def logits(
        self, params: PyTree, x: Float[Array, "b p"], w: Float[Array, "k p"]
    ) -> Float[Array, "b k"]:
        """Return the logits of images over classes, both of unit length."""
        if self.mode == "template_only":
            return x @ w.T / self.tau
        h = self.generator(params["generator"], x)
        if self.mode == "aape_only":
            query = h if self.blend == 1 else self.blend * h + (1 - self.blend) * x
            return unit(query) @ w.T / self.tau
        return cosines(self.projection, params["projection"], w, x, h) / self.tau


def parameter_count(params: PyTree) -> int:
    """Return the number of parameters in a tree."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))
