"""AAPE's losses, each with one owner (paper, sections 3.1 to 3.3).

The task loss and the distillation train h and g; the reward trains the aggregator.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float, Int
from ml_collections import ConfigDict

from aape_jax.core.unit import EPS, cosine, unit
from common.checks import Range, check_choices, check_ranges


def _root(square: Array) -> Array:
    return jnp.sqrt(jnp.maximum(square, EPS))


DISTANCES: dict[str, Callable[[Array, Array], Array]] = {
    "sq_l2": lambda h, p: jnp.square(h - p).sum(axis=-1),
    "l2": lambda h, p: _root(jnp.square(h - p).sum(axis=-1)),
    "l1": lambda h, p: jnp.abs(h - p).sum(axis=-1),
    "cos": lambda h, p: 1 - cosine(h, p),
}


@dataclass(frozen=True)
class Distillation:
    """`weight * distance(h(x), p_a)`.

    Attributes:
      weight: Lambda; 0 where distillation is off.
      distance: A key of `DISTANCES`.
      normalize_target, normalize_pred: Whether p_a and h(x) are brought to unit length.
      reduce: "sum" over dimensions, as the paper says, or "mean".
      stop_grad: Whether p_a is a constant here, so that the aggregator does not drift to
        whatever h can predict.
    """

    weight: float
    distance: str = "sq_l2"
    normalize_target: bool = True
    normalize_pred: bool = False
    reduce: str = "sum"
    stop_grad: bool = True

    @classmethod
    def from_config(cls, config: ConfigDict) -> "Distillation":
        """Read `config.loss`.

        Raises:
          UserError: An option is out of range.
        """
        check_choices(config, {"distance": DISTANCES, "reduce": ("sum", "mean")}, "loss.")
        check_ranges(config, {"lambda": Range(0)}, "loss.")
        return cls(
            weight=config["lambda"] if config.distill else 0.0,
            distance=config.distance,
            normalize_target=config.normalize_target,
            normalize_pred=config.normalize_pred,
            reduce=config.reduce,
            stop_grad=config.distill_stop_grad,
        )

    def __call__(self, h: Float[Array, "b p"], p_a: Float[Array, "b m p"]) -> Float[Array, ""]:
        """Return the distance, unweighted, mean over the batch and the aggregated prompts."""
        target = lax.stop_gradient(p_a) if self.stop_grad else p_a
        target = unit(target) if self.normalize_target else target
        h = unit(h) if self.normalize_pred else h
        distance = DISTANCES[self.distance](h[:, None], target).mean()
        # A cosine has no dimensions to average over.
        scale = h.shape[-1] if self.reduce == "mean" and self.distance != "cos" else 1
        return distance / scale


@dataclass(frozen=True)
class Reward:
    """`weight * CLIP-S(x, p_a)`, CLIP-S = `scale * max(cos, 0)` (arXiv 2104.08718, w = 2.5).

    Attributes:
      scale: s.
      clamp: Whether negative cosines count as zero; they then have no gradient.
      weight: Of the reward.
      anchor_weight: Of `1 - cos(p_a, pbar)`, which holds p_a near the prompts.
    """

    scale: float
    clamp: bool
    weight: float
    anchor_weight: float

    @classmethod
    def from_config(cls, config: ConfigDict) -> "Reward":
        """Read `config.aggregator`.

        Raises:
          UserError: A weight is negative.
        """
        weights = ("reward_scale", "reward_weight", "anchor_weight")
        check_ranges(config, dict.fromkeys(weights, Range(0)), "aggregator.")
        return cls(
            config.reward_scale, config.reward_clamp, config.reward_weight, config.anchor_weight
        )

    def score(self, x: Float[Array, "b p"], p_a: Float[Array, "b m p"]) -> Float[Array, ""]:
        """Return the mean CLIP score of images and their aggregated prompts."""
        similarity = cosine(x[:, None], p_a)
        return self.scale * (jnp.maximum(similarity, 0) if self.clamp else similarity).mean()

    def loss(
        self, x: Float[Array, "b p"], p_a: Float[Array, "b m p"], pbar: Float[Array, "b p"]
    ) -> Float[Array, ""]:
        """Return the aggregator's loss."""
        drift = 1 - cosine(p_a, pbar[:, None]).mean()
        return self.anchor_weight * drift - self.weight * self.score(x, p_a)


def classification(logits: Float[Array, "b k"], labels: Int[Array, "b"]) -> Float[Array, ""]:
    """Return `-log p(y | x)`, mean over the batch."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def contrastive(
    queries: Float[Array, "b p"],
    captions: Float[Array, "b p"],
    images: Int[Array, "b"],
    tau: float,
) -> Float[Array, ""]:
    """Return CLIP's symmetric loss between AAPEs and captions.

    Captions of one image are never each other's negatives: such pairs are left out of the
    softmax, but for the row's own.
    """
    logits = unit(queries) @ unit(captions).T / tau
    same = (images[:, None] == images[None]) & ~jnp.eye(len(images), dtype=bool)
    logits = jnp.where(same, -jnp.inf, logits)
    targets = jnp.arange(len(images))
    to_text, to_image = (classification(scores, targets) for scores in (logits, logits.T))
    return (to_text + to_image) / 2
