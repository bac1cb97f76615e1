"""How far prompted templates are from the frozen features of their sentences (section 3.3).

Each loss has two forms with one value: over pairs, as the reference computes it, and over the
distinct classes of a batch. `weight / p * |f - t|^2` is the paper's; the others are its ablations,
of which only the L1 loss is published, so the contrastive one is this package's own.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

CONTRASTIVE_SCALE = 100.0  # CLIP's own

Features = Float[Array, "u p"]
Targets = Float[Array, "u m p"]
Gather = Callable[[Array], Array]
"""Brings the leading axes of all devices together."""


@dataclass(frozen=True)
class Loss:
    """One loss in both forms.

    Attributes:
      pairs: (features [b p], targets [b p], class of each pair [b]) to the mean over pairs.
      classes: (features [u p], targets [u m p], real [u m], gather) to the sum over pairs; what
        is not `real` is zero.
      weight: The factor in front, by default.
    """

    pairs: Callable[[Array, Array, Array], Array]
    classes: Callable[[Array, Array, Array, Gather], Array]
    weight: float


def _squared_pairs(features: Array, targets: Array, label: Array) -> Array:
    return jnp.square(features - targets).mean()


def _squared(features: Features, targets: Targets, real: Array, gather: Gather) -> Array:
    # |f - t|^2 summed over a class needs its count and its summed targets only: both are units.
    count, total = real.sum(1), targets.sum(1)
    norms = count * (jnp.square(features).sum(-1) + 1)
    return (norms - 2 * (features * total).sum(-1)).sum() / features.shape[-1]


def _absolute_pairs(features: Array, targets: Array, label: Array) -> Array:
    return jnp.abs(features - targets).mean()


def _absolute(features: Features, targets: Targets, real: Array, gather: Gather) -> Array:
    distance = jnp.abs(features[:, None] - targets).mean(-1)
    return jnp.where(real, distance, 0).sum()


def _cosine_pairs(features: Array, targets: Array, label: Array) -> Array:
    return 1 - (features * targets).sum(-1).mean()


def _cosine(features: Features, targets: Targets, real: Array, gather: Gather) -> Array:
    return real.sum() - (features * targets.sum(1)).sum()


def _contrastive_pairs(features: Array, targets: Array, label: Array) -> Array:
    """Compare each sentence with the distinct classes of the batch."""
    same = label[:, None] == label
    logits = CONTRASTIVE_SCALE * targets @ features.T - jnp.log(same.sum(0))
    positives = jnp.where(same, logits, -jnp.inf)
    return (jax.nn.logsumexp(logits, axis=1) - jax.nn.logsumexp(positives, axis=1)).mean()


def _contrastive(features: Features, targets: Targets, real: Array, gather: Gather) -> Array:
    all_features, present = gather(features), gather(real.any(1))
    logits = CONTRASTIVE_SCALE * jnp.einsum("ump,vp->umv", targets, all_features)
    logits = jnp.where(present, logits, -jnp.inf)
    positives = CONTRASTIVE_SCALE * jnp.einsum("ump,up->um", targets, features)
    return jnp.where(real, jax.nn.logsumexp(logits, axis=-1) - positives, 0).sum()


LOSSES: dict[str, Loss] = {
    "l2": Loss(_squared_pairs, _squared, weight=1000.0),
    "l1": Loss(_absolute_pairs, _absolute, weight=1.0),
    "cosine": Loss(_cosine_pairs, _cosine, weight=1.0),
    "contrastive": Loss(_contrastive_pairs, _contrastive, weight=1.0),
}


def sentence_targets(
    targets: Float[Array, "n p"], rows: Int[Array, "u m"]
) -> tuple[Targets, Array]:
    """Return the targets that `rows` names, and which rows are real: those below n."""
    class_targets = jnp.take(targets, rows, axis=0, mode="fill", fill_value=0)
    return class_targets, rows < targets.shape[0]
