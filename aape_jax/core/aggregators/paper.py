"""The layer that the paper's text describes."""

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from aape_jax.core.aggregators.attention import by_head, check_heads, masked_softmax
from aape_jax.core.aggregators.types import AggregatorInput, AggregatorOutput

LAYER_NORM_EPS = 1e-5


@dataclass(frozen=True)
class Paper:
    """The literal layer: `[p_a, P_a] = AttentionLayer([pbar, P])`, of which `p_a` is kept.

    The learnable prompt embedding is `pbar` plus an offset that starts at zero. The image is
    not an input of it: it arrives through the reward alone.
    """

    outputs: int
    heads: int
    ffn_mult: int
    norm: str

    def init(self, key: Key[Array, ""], width: int, tokens: int) -> PyTree:
        """Return Glorot matrices, zero biases and offsets."""
        check_heads(self.heads, width)
        sizes = {
            **dict.fromkeys(("query", "key", "value", "out"), (width, width)),
            "up": (width, self.ffn_mult * width),
            "down": (self.ffn_mult * width, width),
        }
        keys = jax.random.split(key, len(sizes) + 1)
        glorot = jax.nn.initializers.glorot_uniform()
        dense = {
            name: {"kernel": glorot(k, shape), "bias": jnp.zeros(shape[1])}
            for k, (name, shape) in zip(keys[1:], sizes.items(), strict=True)
        }
        norms = {
            name: {"scale": jnp.ones(width), "bias": jnp.zeros(width)}
            for name in ("attention_norm", "ffn_norm")
        }
        apart = 0.0 if self.outputs == 1 else 0.02
        offsets = apart * jax.random.normal(keys[0], (tokens, self.outputs, width))
        return {"offset": offsets, **dense, **norms}

    def tokens(self, params: PyTree, inputs: AggregatorInput) -> Float[Array, "b m p"]:
        """Return the learnable prompt embeddings of a batch; pbar itself at step 0."""
        return inputs.mean[:, None] + params["offset"][inputs.token]

    def __call__(
        self, params: PyTree, inputs: AggregatorInput, key: Key[Array, ""]
    ) -> AggregatorOutput:
        """Apply one attention layer; only the rows of the learnable tokens are computed."""
        del key
        before, after = NORMS[self.norm]
        token = self.tokens(params, inputs)
        sequence = jnp.concatenate([token, inputs.prompts], axis=1)
        normed = before(params["attention_norm"], sequence)
        outputs = token.shape[1]
        query, keys, values = (
            _dense(params[name], part)
            for name, part in (
                ("query", normed[:, :outputs]),
                ("key", normed),
                ("value", normed),
            )
        )
        logits = by_head(query, keys, self.heads) / math.sqrt(query.shape[-1] // self.heads)
        mask = jnp.pad(inputs.mask, ((0, 0), (outputs, 0)), constant_values=True)
        weights = masked_softmax(logits, mask[:, None, None])
        split = values.reshape(*values.shape[:2], self.heads, -1)
        mixed = jnp.einsum("bhmn,bnhq->bmhq", weights, split).reshape(token.shape)
        token = after(params["attention_norm"], token + _dense(params["out"], mixed))
        hidden = jax.nn.relu(_dense(params["up"], before(params["ffn_norm"], token)))
        p_a = after(params["ffn_norm"], token + _dense(params["down"], hidden))
        to_prompts = weights.mean(axis=1)[..., outputs:]
        return AggregatorOutput(p_a, to_prompts / to_prompts.sum(axis=-1, keepdims=True))


NORMS: dict[str, tuple[Any, Any]] = {
    "pre": (lambda params, x: _layer_norm(params, x), lambda params, x: x),
    "post": (lambda params, x: x, lambda params, x: _layer_norm(params, x)),
    "none": (lambda params, x: x, lambda params, x: x),
}
"""Where the layer norms stand: what is applied before a branch, and after its sum."""


def _dense(params: PyTree, x: Float[Array, "b n i"]) -> Float[Array, "b n o"]:
    return x @ params["kernel"] + params["bias"]


def _layer_norm(params: PyTree, x: Float[Array, "b n p"]) -> Float[Array, "b n p"]:
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = jnp.square(centred).mean(axis=-1, keepdims=True)
    return centred * jax.lax.rsqrt(variance + LAYER_NORM_EPS) * params["scale"] + params["bias"]
