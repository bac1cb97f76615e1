"""ProText's objective for one batch of every run, and its gradient's way over the devices."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
from jax import lax
from jax.flatten_util import ravel_pytree
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Int, PyTree

from common.clip.encode import unit
from common.clip.text import TextTower
from common.gradients import with_gradient
from protext_jax.adapters import adapted
from protext_jax.fast import packed_features
from protext_jax.losses import LOSSES, Loss, sentence_targets
from protext_jax.packing import BatchLayout
from protext_jax.tower import prompted_features

Metrics = dict[str, Array]


@dataclass(frozen=True)
class Objective:
    """Loss and metrics of a batch.

    Attributes:
      tower: CLIP's text tower.
      loss: A key of `LOSSES`.
      weight: The factor in front of the loss.
      pairs: Pairs of a batch, b.
      half: See `prompted_features`; of the plain form only.
    """

    tower: TextTower
    loss: str
    weight: float
    pairs: int
    half: bool = False

    def __call__(self, trainable: PyTree, frozen: PyTree, batch: PyTree) -> tuple[Array, Metrics]:
        """Return the mean loss of the runs; its gradient is that of every run's own loss.

        Args:
          trainable: `{"prompts": [r j t d]}`, or an adapter's weights with r in front.
          frozen: See `ProText.load`.
          batch: `{"layout": BatchLayout}` with runs and shards in front for the fast form,
            `{"rows": [r b]}` for the plain one.
        """
        if "layout" in batch:
            values, gradient, metrics = self._over_devices(trainable, frozen, batch["layout"])
        else:
            runs = jax.vmap(jax.value_and_grad(self.plain, has_aux=True), (0, None, 0))
            (values, metrics), gradient = runs(trainable, frozen, batch["rows"])
        # The runs share nothing, so each has its own gradient whatever is reported.
        total = with_gradient(values.mean(), trainable, gradient)
        return total, jax.tree.map(lambda x: lax.stop_gradient(x.mean()), metrics)

    def plain(
        self, trainable: PyTree, frozen: PyTree, rows: Int[Array, " b"]
    ) -> tuple[Float[Array, ""], Metrics]:
        """Compute one run's loss, pair by pair at all positions, as the reference does."""
        label, targets = frozen["label"][rows], frozen["targets"][rows]
        if "prompts" in trainable:
            features = prompted_features(
                self.tower,
                frozen["text"],
                trainable["prompts"],
                frozen["ids"][label],
                frozen["end"][label],
                half=self.half,
            )
        else:
            features = unit(adapted(trainable["adapter"], frozen["templates"][label]))
        loss = self.weight * self._kind.pairs(features, targets, label)
        return loss, {"cosine": (features * targets).sum(-1).mean()}

    def packed(
        self,
        trainable: PyTree,
        frozen: PyTree,
        layout: BatchLayout,
        gather: Callable[[Array], Array],
    ) -> tuple[Float[Array, ""], Metrics]:
        """Compute one run's loss on one shard's classes: its share of the mean over the batch."""
        features = packed_features(
            self.tower,
            frozen["text"],
            trainable["prompts"],
            frozen["suffix"],
            frozen["start"],
            layout,
        )
        targets, real = sentence_targets(frozen["targets"], layout.rows)
        loss = self.weight * self._kind.classes(features, targets, real, gather) / self.pairs
        cosine = (features * targets.sum(1)).sum() / self.pairs
        return loss, {"cosine": cosine}

    @property
    def _kind(self) -> Loss:
        return LOSSES[self.loss]

    def _over_devices(
        self, trainable: PyTree, frozen: PyTree, layout: BatchLayout
    ) -> tuple[Any, ...]:
        """Return values, gradients and metrics of all runs; each device takes its own classes."""

        def gather(x: Array) -> Array:
            return lax.all_gather(x, "data", tiled=True)

        def device(trainable: PyTree, frozen: PyTree, layout: BatchLayout) -> tuple[Any, ...]:
            shard = jax.tree.map(lambda x: x[:, 0], layout)
            grad = jax.value_and_grad(partial(self.packed, gather=gather), has_aux=True)
            results = jax.vmap(grad, (0, None, 0))(trainable, frozen, shard)
            # One vector, so that a step has one collective.
            flat, unravel = ravel_pytree(results)
            (values, metrics), gradient = unravel(lax.psum(flat, "data"))
            return values, gradient, metrics

        return jax.shard_map(
            device,
            in_specs=(P(), P(), P(None, "data")),
            out_specs=P(),
            axis_names={"data"},
            check_vma=False,
        )(lax.stop_gradient(trainable), frozen, layout)
