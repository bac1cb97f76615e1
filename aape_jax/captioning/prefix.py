"""What a language model is shown of an image: LiMBeR's visual tokens, and AAPE's beside them.

Both are linear maps of frozen or generated features to the width of the language model
(arXiv 2209.15162; AAPE paper, section 4.3).
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from flax.linen import initializers
from jaxtyping import Array, Float, Key, PyTree
from ml_collections import ConfigDict

from aape_jax.core.heads_file import require_fit
from common.checks import Range, check_choices, check_ranges
from common.errors import UserError

ORDERS = {
    "before_visual": ("aape", "visual"),
    "after_visual": ("visual", "aape"),
    "none": ("visual",),
}
"""Which tokens stand in front of the text, by `lm.aape_position`."""


@dataclass(frozen=True)
class Prefix:
    """The tokens of an image.

    Attributes:
      position: A key of `ORDERS`.
      tokens: How many tokens h(x) becomes.
    """

    position: str
    tokens: int

    @classmethod
    def from_config(cls, config: ConfigDict) -> "Prefix":
        """Read `config.lm`.

        Raises:
          UserError: An option is out of range.
        """
        check_choices(config, {"aape_position": ORDERS}, "lm.")
        check_ranges(config, {"aape_tokens": Range(1)}, "lm.")
        return cls(config.aape_position, config.aape_tokens)

    @property
    def has_aape(self) -> bool:
        """Whether h(x) takes part."""
        return "aape" in ORDERS[self.position]

    def length(self, cells: int) -> int:
        """Return how many tokens an image of so many cells becomes."""
        return cells + (self.tokens if self.has_aape else 0)

    def init(self, key: Key[Array, ""], width: int, lm_width: int) -> PyTree:
        """Return the map from h(x) to its tokens."""
        return linear(key, width, self.tokens * lm_width)

    def __call__(
        self, visual: Float[Array, "b t d"], params: PyTree, h: Float[Array, "b p"]
    ) -> Float[Array, "b s d"]:
        """Return the tokens in their order."""
        aape = apply_linear(params, h).reshape(len(visual), self.tokens, visual.shape[-1])
        parts = {"visual": visual, "aape": aape}
        return jnp.concatenate([parts[name] for name in ORDERS[self.position]], axis=1)


def linear(key: Key[Array, ""], width: int, out: int) -> PyTree:
    """Return a linear map with bias."""
    kernel = initializers.lecun_normal()(key, (width, out))
    return {"kernel": kernel, "bias": jnp.zeros(out)}


def linear_shapes(width: int, out: int) -> PyTree:
    """Return the shapes of what `linear` makes."""
    return jax.eval_shape(lambda key: linear(key, width, out), jax.random.key(0))


def apply_linear(params: PyTree, x: Float[Array, "*b c"]) -> Float[Array, "*b d"]:
    """Apply the map to the last axis."""
    return x.astype(jnp.float32) @ params["kernel"] + params["bias"]


def require_map(name: object, params: PyTree, channels: int, lm_width: int) -> None:
    """Refuse a trained visual map that belongs to another image tower or language model.

    Raises:
      UserError: It names the map and its shape.
    """
    shape = np.shape(params.get("kernel", 0))
    if shape != (channels, lm_width):
        raise UserError(
            f"the map {name} has the shape {shape}, but the image tower's cells have {channels} "
            f"channels and the language model's width is {lm_width}: give the models that it was "
            "trained with."
        )
    require_fit(str(name), params, linear_shapes(channels, lm_width))
