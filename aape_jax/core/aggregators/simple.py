"""The forms that the paper compares its aggregator with (table 4)."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key, PyTree

from aape_jax.core.aggregators.attention import convex
from aape_jax.core.aggregators.types import AggregatorInput, AggregatorOutput


@dataclass(frozen=True)
class Mean:
    """`p_a = pbar`."""

    def init(self, key: Key[Array, ""], width: int, tokens: int) -> PyTree:
        """Return no parameters: nothing is learned."""
        del key, width, tokens
        return {}

    def __call__(
        self, params: PyTree, inputs: AggregatorInput, key: Key[Array, ""]
    ) -> AggregatorOutput:
        """Return equal weights."""
        del params, key
        weights = inputs.mask / inputs.mask.sum(axis=-1, keepdims=True)
        return convex(weights[:, None], inputs.prompts)


@dataclass(frozen=True)
class Random:
    """`p_a` is one prompt, drawn anew for each image and step."""

    def init(self, key: Key[Array, ""], width: int, tokens: int) -> PyTree:
        """Return no parameters: nothing is learned."""
        del key, width, tokens
        return {}

    def __call__(
        self, params: PyTree, inputs: AggregatorInput, key: Key[Array, ""]
    ) -> AggregatorOutput:
        """Draw among the prompts that there are."""
        del params
        logits = jnp.where(inputs.mask, 0.0, -jnp.inf)
        drawn = jax.random.categorical(key, logits)
        weights = jax.nn.one_hot(drawn, inputs.mask.shape[-1])
        return convex(weights[:, None], inputs.prompts)


@dataclass(frozen=True)
class MLP:
    """`p_a = a f(pbar) + (1 - a) pbar`, f a two-layer bottleneck, a learnable."""

    hidden: int

    def init(self, key: Key[Array, ""], width: int, tokens: int) -> PyTree:
        """Start `a` at one half."""
        del tokens
        down, up = jax.random.split(key)
        glorot = jax.nn.initializers.glorot_uniform()
        return {
            "down": glorot(down, (width, self.hidden)),
            "up": glorot(up, (self.hidden, width)),
            "mix": jnp.full((), 0.5),
        }

    def __call__(
        self, params: PyTree, inputs: AggregatorInput, key: Key[Array, ""]
    ) -> AggregatorOutput:
        """Aggregate; no prompt has a weight of its own."""
        del key
        changed = jax.nn.relu(inputs.mean @ params["down"]) @ params["up"]
        p_a = params["mix"] * changed + (1 - params["mix"]) * inputs.mean
        return AggregatorOutput(p_a[:, None], None)
