"""The projection g: class feature and AAPE to the class's classifier weight (paper, section 3.3).

The paper says `w_i(x) = g([w_i ; h(x)])`. Taken literally and started at random, that destroys
unseen classes, so g can be mixed with w_i or start at it; see `configs/aape.py` for the presets.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree
from ml_collections import ConfigDict

from common.checks import Range, check_choices, check_ranges
from common.errors import UserError

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {"relu": jax.nn.relu, "none": lambda x: x}
RESIDUALS = ("mix", "add")


@dataclass(frozen=True)
class Projection:
    """`keep * w + alpha * g([w ; h])`.

    Attributes:
      kind: "bottleneck" is `W2 act(A w + B h)`; "fc" is one layer, `A w + B h`.
      hidden: Width of the bottleneck.
      activation: Of the bottleneck; without it h(x) all but drops out of the softmax.
      out_relu: A ReLU on the result of g.
      residual_alpha: Alpha.
      residual: "mix" keeps `1 - alpha` of w, "add" keeps all of it.
      zero_init: The last layer starts at zero, so step 0 is zero-shot CLIP.
      identity_init: The one layer of "fc" starts at `g = w`.
    """

    kind: str = "bottleneck"
    hidden: int = 32
    activation: str = "relu"
    out_relu: bool = False
    residual_alpha: float = 0.2
    residual: str = "mix"
    zero_init: bool = True
    identity_init: bool = False

    @classmethod
    def from_config(cls, config: ConfigDict) -> "Projection":
        """Read `config.projection`.

        Raises:
          UserError: An option is out of range, or two do not fit.
        """
        choices = {"kind": INITS, "activation": ACTIVATIONS, "residual": RESIDUALS}
        check_choices(config, choices, "projection.")
        ranges = {"hidden": Range(1), "residual_alpha": Range(0, 1, above=True)}
        check_ranges(config, ranges, "projection.")
        projection = cls(**{name: config[name] for name in cls.__dataclass_fields__})
        if projection.zero_init and not projection.keep:
            raise UserError(
                "projection.zero_init=True with nothing kept of w gives classifiers of length "
                "zero: set projection.zero_init=false or residual_alpha below 1."
            )
        if projection.identity_init and (projection.kind != "fc" or projection.zero_init):
            raise UserError(
                "projection.identity_init=True is a start of projection.kind=fc without "
                "zero_init: change one of them."
            )
        return projection

    @property
    def keep(self) -> float:
        """How much of w is kept."""
        return 1.0 if self.residual == "add" else 1 - self.residual_alpha

    @property
    def factored(self) -> bool:
        """Whether logits can be had without an array of batch x classes x width."""
        return self.kind == "bottleneck" and not self.out_relu

    def init(self, key: Key[Array, ""], width: int) -> PyTree:
        """Draw uniformly within 1 / sqrt(inputs), or as the flags say."""
        return INITS[self.kind](self, key, width)

    def __call__(
        self, params: PyTree, w: Float[Array, "*#b p"], h: Float[Array, "*#b p"]
    ) -> Float[Array, "*b p"]:
        """Return the classifier weights of class features and AAPEs, not normalised."""
        g = w @ params["from_class"] + h @ params["from_prompt"]
        if self.kind == "bottleneck":
            g = ACTIVATIONS[self.activation](g) @ params["up"]
        if self.out_relu:
            g = jax.nn.relu(g)
        return self.keep * w + self.residual_alpha * g


def _init_bottleneck(projection: Projection, key: Array, width: int) -> PyTree:
    class_key, prompt_key, up_key = jax.random.split(key, 3)
    hidden = projection.hidden
    last = jnp.zeros((hidden, width)) if projection.zero_init else _uniform(up_key, hidden, width)
    return {
        "from_class": _uniform(class_key, width, hidden, 2 * width),
        "from_prompt": _uniform(prompt_key, width, hidden, 2 * width),
        "up": last,
    }


def _init_fc(projection: Projection, key: Array, width: int) -> PyTree:
    class_key, prompt_key = jax.random.split(key)
    if projection.zero_init or projection.identity_init:
        start = jnp.eye(width) if projection.identity_init else jnp.zeros((width, width))
        return {"from_class": start, "from_prompt": jnp.zeros((width, width))}
    return {
        "from_class": _uniform(class_key, width, width, 2 * width),
        "from_prompt": _uniform(prompt_key, width, width, 2 * width),
    }


INITS = {"bottleneck": _init_bottleneck, "fc": _init_fc}


def _uniform(key: Array, inputs: int, outputs: int, fan_in: int | None = None) -> Array:
    bound = (fan_in or inputs) ** -0.5
    return jax.random.uniform(key, (inputs, outputs), minval=-bound, maxval=bound)
