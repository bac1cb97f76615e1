"""A frozen language model behind what it is shown of images, and how that is learned.

In two stages (LiMBeR, arXiv 2209.15162; AAPE paper, section 4.3): first the visual map on
captions, then AAPE's map and h, with distillation from the image's own captions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from aape_jax.captioning.prefix import apply_linear
from aape_jax.captioning.variants import BASELINE, CaptionVariant, initial
from aape_jax.core.objective import PromptedImages
from aape_jax.task import summed
from common.language import LanguageModel


@dataclass(frozen=True)
class Captioner:
    """One visual map and several variants beside it.

    The trainable tree is `{"visual": {"map": ...}, variant: {"head": ..., "aggregator": ...}}`; a
    head holds h ("generator") and the map to its tokens ("token").

    Attributes:
      model: The language model; its parameters are frozen.
      variants: By name.
    """

    model: LanguageModel
    variants: Mapping[str, CaptionVariant]

    @property
    def names(self) -> tuple[str, ...]:
        """The rows of a result."""
        return (*self.variants, BASELINE)

    def init(self, key: Key[Array, ""], channels: int, width: int, images: int) -> PyTree:
        """See `initial`."""
        lm_width = self.model.config.width
        return initial(self.variants, key, channels, width, images, lm_width)

    def tokens(
        self, name: str, head: PyTree, visual: Float[Array, "b t d"], x: Float[Array, "b p"]
    ) -> Float[Array, "b s d"]:
        """Return what stands in front of the text in a row of the result."""
        if name == BASELINE:
            return visual
        variant = self.variants[name]
        h = variant.objective.head.generator(head["generator"], x)
        return variant.prefix(visual, head["token"], h)

    def nats(
        self,
        frozen: PyTree,
        prefix: Float[Array, "b t d"],
        ids: Int[Array, "b s"],
        lengths: Int[Array, "b"],
    ) -> Float[Array, "b"]:
        """Return the cross-entropy of whole captions, without the words that ask for them."""
        variables = {"params": frozen["lm"]}
        asking = jnp.broadcast_to(frozen["asking"], (len(ids), len(frozen["asking"])))
        text = jnp.concatenate([asking, ids], axis=1)
        words = self.model.apply(variables, text, method="embed")
        whole = jnp.concatenate([prefix.astype(words.dtype), words], axis=1)
        hidden, _ = self.model.apply(variables, whole)
        # Each token is predicted from the one before it; the last predicts nothing.
        predicting = hidden[:, -1 - ids.shape[1] : -1]
        logits = self.model.apply(variables, predicting, method="logits")
        nats = optax.softmax_cross_entropy_with_integer_labels(logits, ids)
        real: Bool[Array, "b s"] = jnp.arange(ids.shape[1]) < lengths[:, None]
        return jnp.where(real, nats, 0).sum(axis=1)

    @cached_property
    def run_nats(self) -> Callable[..., Float[Array, "b"]]:
        """`nats`, compiled once for all rows and evaluations."""
        return jax.jit(self.nats)

    @cached_property
    def run_tokens(self) -> Callable[..., Float[Array, "b s d"]]:
        """From a row, the visual map, a head, and cells and x of images to `tokens`, likewise."""

        def run(name: str, visual: PyTree, head: PyTree, grid: Array, x: Array) -> Array:
            return self.tokens(name, head, apply_linear(visual, grid), x)

        return jax.jit(run, static_argnums=0)

    def loss(
        self, trainable: PyTree, frozen: PyTree, batch: PyTree, key: Key[Array, ""]
    ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        """Return captions' cross-entropy per token and, in stage two, the aggregator's loss.

        Until the second stage all variants show the visual tokens alone, and `task` is the same.
        """
        rows, second = batch["rows"], batch["second"]
        drawing, teaching = jax.random.split(key)
        x, captions, mask = frozen["x"][rows], frozen["captions"][rows], frozen["mask"][rows]
        drawn = jax.random.categorical(drawing, jnp.where(mask, 0.0, -jnp.inf))
        ids, lengths = frozen["ids"][rows, drawn], frozen["lengths"][rows, drawn]
        grid = batch["grid"] if "grid" in batch else frozen["grid"][rows]
        names = tuple(self.variants) or (BASELINE,)

        def visual_stage(trainable: PyTree) -> Float[Array, "names"]:
            visual = apply_linear(trainable["visual"]["map"], grid)
            nats = self.nats(frozen, visual, ids, lengths).sum() / lengths.sum()
            return jnp.full(len(names), nats)

        def aape_stage(trainable: PyTree) -> Float[Array, "names"]:
            fixed = jax.lax.stop_gradient(trainable["visual"]["map"])
            visual = apply_linear(fixed, grid)
            prefixes = [self.tokens(name, trainable[name]["head"], visual, x) for name in names]
            # One pass for all variants; a program is compiled for as long as it is written.
            prefix = jnp.concatenate(prefixes)
            repeated = (jnp.tile(ids, (len(names), 1)), jnp.tile(lengths, len(names)))
            nats = self.nats(frozen, prefix, *repeated).reshape(len(names), -1)
            return nats.sum(axis=1) / lengths.sum()

        if not self.variants:
            (task,) = visual_stage(trainable)
            return task, {"task": task}
        tasks = jax.lax.cond(second, aape_stage, visual_stage, trainable)
        total = jnp.where(second, tasks.sum(), tasks.mean())
        images = PromptedImages(x, captions, mask, rows)

        def teach(name: str, task: Array) -> tuple[Array, dict[str, Array]]:
            objective, params = self.variants[name].objective, trainable[name]
            h = objective.head.generator(params["head"]["generator"], x)
            taught, watched = objective.teach(params, images, h, teaching)
            return jnp.where(second, taught, 0.0), {"task": task, **watched}

        outcomes = [(name, teach(name, task)) for name, task in zip(names, tasks, strict=True)]
        taught, metrics = summed(outcomes)
        return total + taught, metrics
