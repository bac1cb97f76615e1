"""Which rows there are, and what they read: arrays by class laid out by row.

The objective (`mcti_jax.objective`) never asks which class or setting a row stands for; it
differentiates the sum over the rows that are laid out here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

from common.data.few_shot import class_rows
from common.errors import UserError
from common.trees import AnyArray
from mcti_jax.conditions import EmbeddedPrompts
from mcti_jax.losses import Bank, Kept, Rows
from mcti_jax.prompts import Prompts
from mcti_jax.rows import padded


@dataclass(frozen=True)
class Variant:
    """One setting under which every class is trained."""

    name: str
    alpha: float
    gamma: float


@dataclass(frozen=True)
class RowLayout:
    """How (variant, class) pairs lie on the row axis: variant by variant, then padding.

    Attributes:
      variants: The first is the run's own; any others are baselines trained beside it.
      classes: K.
      learned: The classes that have rows; the tokens of the others stay as they are.
      devices: How many share the rows.
      size: Rows with padding.
      at_once: Rows that a device treats together.
    """

    variants: tuple[Variant, ...]
    classes: int
    learned: tuple[int, ...]
    devices: int
    size: int
    at_once: int

    @classmethod
    def of(
        cls,
        config: ConfigDict,
        classes: int,
        devices: int,
        learned: Sequence[int] | None = None,
    ) -> "RowLayout":
        """Return the layout for `devices` devices on the mesh's data axis.

        Args:
          config: The run's.
          classes: K.
          devices: How many share the rows.
          learned: The classes that are learned; None for all. Nothing is trained for comparison
            where some are kept, for their tokens are of the run's own variant.
        """
        if min(config.alpha, config.gamma) < 0 or config.alpha == config.gamma == 0:
            raise UserError(
                f"alpha={config.alpha} and gamma={config.gamma} leave nothing to learn from: "
                "both must be at least 0 and one of them positive."
            )
        variants = [Variant("mcti" if config.gamma else "ti", config.alpha, config.gamma)]
        learned = tuple(range(classes) if learned is None else learned)
        if config.compare_ti and config.alpha and config.gamma and len(learned) == classes:
            variants.append(Variant("ti", config.alpha, 0.0))
        rows = padded(len(variants) * len(learned), devices, config.classes_per_chunk)
        return cls(tuple(variants), classes, learned, devices, *rows)

    @property
    def kept(self) -> tuple[int, ...]:
        """The classes whose tokens stay as they are."""
        return tuple(sorted(set(range(self.classes)) - set(self.learned)))

    def spread(self, by_class: AnyArray) -> AnyArray:
        """Repeat an array over classes for each row; padding repeats the first of them."""
        return by_class[self.labels()]

    def labels(self) -> np.ndarray:
        """Return the class of each row, `[r]`."""
        labels = np.tile(self.learned, len(self.variants))
        padding = np.full(self.size - labels.size, labels[0])
        return np.concatenate([labels, padding]).astype(np.int32)

    def problems(self) -> np.ndarray:
        """Return which variant each row belongs to, `[r]`; padding makes further ones."""
        return (np.arange(self.size) // len(self.learned)).astype(np.int32)

    def weights(self, field: str) -> np.ndarray:
        """Return `alpha` or `gamma` of each row, `[r]`; padding has weight 0."""
        values = np.repeat([getattr(v, field) for v in self.variants], len(self.learned))
        return np.pad(values, (0, self.size - values.size)).astype(np.float32)

    def averaging(self) -> np.ndarray:
        """Return the weights `[variants r]` that take the mean over each variant's rows."""
        counted = self.problems() == np.arange(len(self.variants))[:, None]
        return counted.astype(np.float32) / len(self.learned)

    def by_variant(self, rows: np.ndarray) -> np.ndarray:
        """Take the padding off: `[r ...]` to `[variants l ...]` for l learned classes."""
        shape = len(self.variants), len(self.learned)
        return rows[: shape[0] * shape[1]].reshape(*shape, *rows.shape[1:])


def kept_rows(
    layout: RowLayout,
    gamma: float,
    tokens: Float[AnyArray, "f t p"],
    names: Float[AnyArray, "g t p"],
) -> Kept:
    """Return the classes whose texts stay as they are, padded to the devices' shares.

    Args:
      layout: Says which tokens stay.
      gamma: Weight of the classification term.
      tokens: Unit-length features of these tokens under every prompt.
      names: Those of classes that have a name instead.
    """
    texts = np.concatenate([tokens, names])
    fresh = layout.classes + np.arange(len(names))
    # What pads them is a problem of its own, in which nothing is asked.
    padding = (0, -len(texts) % layout.devices)
    return Kept(
        label=np.pad([*layout.kept, *fresh], padding).astype(np.int32),
        gamma=np.pad([gamma] * len(tokens), (0, len(names) + padding[1])).astype(np.float32),
        problem=np.pad(np.zeros(len(texts), np.int32), padding, constant_values=-1),
        texts=np.pad(texts, (padding, (0, 0), (0, 0))),
    )


def class_bank(
    features: Float[AnyArray, "m b p"], labels: np.ndarray, classes: int, prototypes: bool
) -> Bank:
    """Return image features by class, originals and mirrors pooled, at unit length.

    Args:
      features: Of the photos and, where there are any, of their mirrors; any length.
      labels: Class of each photo.
      classes: K.
      prototypes: One entry per class, the mean of its features as they are.
    """
    labels, pooled = np.tile(labels, len(features)), features.reshape(-1, features.shape[-1])
    grouped = class_rows(labels, classes)
    entries, counts = pooled[grouped.rows], grouped.counts
    if prototypes:
        real = np.arange(entries.shape[1]) < counts[:, None]
        share = (real / counts[:, None]).astype(np.float32)
        entries, counts = (entries * share[..., None]).sum(1, keepdims=True), np.ones(classes)
    entries = entries / (entries**2).sum(axis=-1, keepdims=True) ** 0.5
    return Bank(entries.astype(np.float32), counts.astype(np.int32))


def class_latents(
    layout: RowLayout,
    mean: Float[AnyArray, "m b h w c"],
    logvar: Float[AnyArray, "m b h w c"],
    labels: np.ndarray,
    captioned: bool = False,
) -> Rows:
    """Return the rows with their VAE posteriors, photos and mirrors pooled.

    Args:
      layout: Says which rows there are.
      mean, logvar: Of the posteriors.
      labels: Class of each photo.
      captioned: Whether each photo, and its mirror, has the prompt of its number.
    """
    grouped = class_rows(np.tile(labels, len(mean)), layout.classes)
    pooled = [x.reshape(-1, *x.shape[2:])[grouped.rows] for x in (mean, logvar)]
    return Rows(
        label=layout.labels(),
        alpha=layout.weights("alpha"),
        gamma=layout.weights("gamma"),
        mean=layout.spread(pooled[0]),
        logvar=layout.spread(pooled[1]),
        entries=layout.spread(grouped.counts).astype(np.int32),
        prompt=layout.spread(grouped.rows % len(labels)).astype(np.int32) if captioned else None,
    )


def prepare(table: AnyArray, prompts: Prompts, pool: str) -> EmbeddedPrompts:
    """Look the prompts up in a token table `[v d]`; the slots get row 0, to be replaced."""
    ids = np.where(prompts.ids < len(table), prompts.ids, 0)
    places = (prompts.slot, prompts.pool_at(pool), prompts.end)
    return EmbeddedPrompts(table[ids], *(place.astype(np.int32) for place in places))
