"""The input-adapted prompt aggregator: n reference prompts to one, `p_a` (paper, section 3.1).

It teaches the generator and is thrown away. The paper's text leaves its form open, so there is
a table of them; each is a frozen dataclass of sizes with `init` and `__call__`.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key, PyTree
from ml_collections import ConfigDict

from aape_jax.unit import masked_mean, unit
from common.errors import UserError

LAYER_NORM_EPS = 1e-5


@flax.struct.dataclass
class Given:
    """What an aggregator reads for a batch; the prompts are those of each image's own class.

    Attributes:
      prompts: Unit-length prompt features, padded, `[b n p]`.
      mask: Which of them there are, `[b n]`.
      x: Unit-length image features, `[b p]`.
      token: Which learnable token belongs to each image, `[b]`.
    """

    prompts: Any
    mask: Any
    x: Any
    token: Any

    @property
    def mean(self) -> Float[Array, "b p"]:
        """pbar of each image's class."""
        return masked_mean(self.prompts, self.mask)


@flax.struct.dataclass
class Aggregated:
    """What an aggregator gives.

    Attributes:
      p_a: `[b m p]`.
      attention: Weights over the prompts that sum to one, `[b m n]`.
    """

    p_a: Any
    attention: Any


@runtime_checkable
class Aggregator(Protocol):
    """A form of the aggregator."""

    def init(self, key: Key[Array, ""], width: int, tokens: int) -> PyTree:
        """Parameters for joint width `width` and `tokens` learnable tokens."""

    def __call__(self, params: PyTree, given: Given, key: Key[Array, ""]) -> Aggregated:
        """Aggregates; `key` is for the forms that draw."""


def masked_softmax(
    logits: Float[Array, "*b n"], mask: Bool[Array, "*#b n"]
) -> Float[Array, "*b n"]:
    """Softmax over the prompts that there are; padding gets exactly zero."""
    return jax.nn.softmax(jnp.where(mask, logits, -jnp.inf), axis=-1)


@dataclass(frozen=True)
class Anchored:
    """Softmax weights from image-prompt similarity over the raw prompts: a convex mix.

    The result cannot leave the prompts' hull, so the reward can only re-weight prompts. At
    step 0 the weights are CLIP's own softmax at scale `init_scale`.
    """

    outputs: int
    heads: int
    init_scale: float

    def init(self, key: Key[Array, ""], width: int, tokens: int) -> PyTree:
        """W_x starts at the identity and W_p at zero; several outputs start apart."""
        del tokens
        _check_heads(self.heads, width)
        shape = (self.outputs, width, width)
        apart = 0.0 if self.outputs == 1 else 0.02
        return {
            "from_image": jnp.eye(width) + apart * jax.random.normal(key, shape),
            "from_mean": jnp.zeros(shape),
            "log_scale": jnp.full((), math.log(self.init_scale)),
        }

    def __call__(self, params: PyTree, given: Given, key: Key[Array, ""]) -> Aggregated:
        """The query is `W_x x + W_p pbar`; heads are averaged."""
        del key
        query = jnp.einsum("bp,mpq->bmq", given.x, params["from_image"])
        query += jnp.einsum("bp,mpq->bmq", given.mean, params["from_mean"])
        logits = jnp.exp(params["log_scale"]) * _by_head(query, given.prompts, self.heads)
        weights = masked_softmax(logits, given.mask[:, None, None]).mean(axis=1)
        return _convex(weights, given.prompts)


@dataclass(frozen=True)
class Paper:
    """The literal layer: `[p_a, P_a] = AttentionLayer([pbar, P])`, of which `p_a` is kept.

    The learnable prompt embedding is `pbar` plus an offset that starts at zero. The image is
    no input of it: it arrives through the reward alone.
    """

    outputs: int
    heads: int
    ffn_mult: int
    norm: str

    def init(self, key: Key[Array, ""], width: int, tokens: int) -> PyTree:
        """Glorot matrices, zero biases and offsets."""
        _check_heads(self.heads, width)
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

    def tokens(self, params: PyTree, given: Given) -> Float[Array, "b m p"]:
        """The learnable prompt embeddings of a batch; pbar itself at step 0."""
        return given.mean[:, None] + params["offset"][given.token]

    def __call__(self, params: PyTree, given: Given, key: Key[Array, ""]) -> Aggregated:
        """One attention layer; only the rows of the learnable tokens are computed."""
        del key
        before, after = NORMS[self.norm]
        token = self.tokens(params, given)
        sequence = jnp.concatenate([token, given.prompts], axis=1)
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
        logits = _by_head(query, keys, self.heads) / math.sqrt(query.shape[-1] // self.heads)
        mask = jnp.pad(given.mask, ((0, 0), (outputs, 0)), constant_values=True)
        weights = masked_softmax(logits, mask[:, None, None])
        split = values.reshape(*values.shape[:2], self.heads, -1)
        mixed = jnp.einsum("bhmn,bnhq->bmhq", weights, split).reshape(token.shape)
        token = after(params["attention_norm"], token + _dense(params["out"], mixed))
        hidden = jax.nn.relu(_dense(params["up"], before(params["ffn_norm"], token)))
        p_a = after(params["ffn_norm"], token + _dense(params["down"], hidden))
        to_prompts = weights.mean(axis=1)[..., outputs:]
        return Aggregated(p_a, to_prompts / to_prompts.sum(axis=-1, keepdims=True))


@dataclass(frozen=True)
class Mean:
    """`p_a = pbar` (paper, table 4)."""

    def init(self, key: Key[Array, ""], width: int, tokens: int) -> PyTree:
        """Nothing to learn."""
        del key, width, tokens
        return {}

    def __call__(self, params: PyTree, given: Given, key: Key[Array, ""]) -> Aggregated:
        """Equal weights."""
        del params, key
        weights = given.mask / given.mask.sum(axis=-1, keepdims=True)
        return _convex(weights[:, None], given.prompts)


@dataclass(frozen=True)
class Random:
    """`p_a` is one prompt, drawn anew for each image and step (paper, table 4)."""

    def init(self, key: Key[Array, ""], width: int, tokens: int) -> PyTree:
        """Nothing to learn."""
        del key, width, tokens
        return {}

    def __call__(self, params: PyTree, given: Given, key: Key[Array, ""]) -> Aggregated:
        """Draws among the prompts that there are."""
        del params
        logits = jnp.where(given.mask, 0.0, -jnp.inf)
        drawn = jax.random.categorical(key, logits)
        weights = jax.nn.one_hot(drawn, given.mask.shape[-1])
        return _convex(weights[:, None], given.prompts)


@dataclass(frozen=True)
class MLP:
    """`p_a = a f(pbar) + (1 - a) pbar`, f a two-layer bottleneck, a learnable (table 4)."""

    hidden: int

    def init(self, key: Key[Array, ""], width: int, tokens: int) -> PyTree:
        """a starts at one half."""
        del tokens
        down, up = jax.random.split(key)
        glorot = jax.nn.initializers.glorot_uniform()
        return {
            "down": glorot(down, (width, self.hidden)),
            "up": glorot(up, (self.hidden, width)),
            "mix": jnp.full((), 0.5),
        }

    def __call__(self, params: PyTree, given: Given, key: Key[Array, ""]) -> Aggregated:
        """The weights that are reported are the mean's."""
        equal = Mean()({}, given, key)
        changed = jax.nn.relu(given.mean @ params["down"]) @ params["up"]
        p_a = params["mix"] * changed + (1 - params["mix"]) * given.mean
        return Aggregated(p_a[:, None], equal.attention)


NORMS: dict[str, tuple[Any, Any]] = {
    "pre": (lambda params, x: _layer_norm(params, x), lambda params, x: x),
    "post": (lambda params, x: x, lambda params, x: _layer_norm(params, x)),
    "none": (lambda params, x: x, lambda params, x: x),
}
"""Where the layer norms stand: what is applied before a branch, and after its sum."""

AGGREGATORS = {
    "anchored": lambda c: Anchored(c.num_outputs, c.heads, c.init_scale),
    "paper": lambda c: Paper(c.num_outputs, c.heads, c.ffn_mult, c.norm),
    "mean": lambda c: Mean(),
    "random": lambda c: Random(),
    "mlp": lambda c: MLP(c.mlp_hidden),
}

TOKENS = ("class", "image", "none")


def make_aggregator(config: ConfigDict) -> Aggregator:
    """The form that `aggregator.kind` names.

    Raises:
      UserError: an option is out of range.
    """
    choices = {"kind": tuple(AGGREGATORS), "norm": tuple(NORMS), "token": TOKENS}
    for name, known in choices.items():
        if config[name] not in known:
            raise UserError(
                f"aggregator.{name}={config[name]!r} is unknown; choose one of {', '.join(known)}."
            )
    for name in ("num_outputs", "heads", "ffn_mult", "mlp_hidden"):
        if config[name] < 1:
            raise UserError(f"aggregator.{name}={config[name]} must be at least 1.")
    if config.init_scale <= 0:
        raise UserError(f"aggregator.init_scale={config.init_scale} must be positive.")
    return AGGREGATORS[config.kind](config)


def _convex(weights: Float[Array, "b m n"], prompts: Float[Array, "b n p"]) -> Aggregated:
    return Aggregated(unit(jnp.einsum("bmn,bnp->bmp", weights, prompts)), weights)


def _by_head(
    query: Float[Array, "b m p"], keys: Float[Array, "b n p"], heads: int
) -> Float[Array, "b h m n"]:
    query, keys = (x.reshape(*x.shape[:2], heads, -1) for x in (query, keys))
    return jnp.einsum("bmhq,bnhq->bhmn", query, keys)


def _dense(params: PyTree, x: Float[Array, "b n i"]) -> Float[Array, "b n o"]:
    return x @ params["kernel"] + params["bias"]


def _layer_norm(params: PyTree, x: Float[Array, "b n p"]) -> Float[Array, "b n p"]:
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = jnp.square(centred).mean(axis=-1, keepdims=True)
    return centred * jax.lax.rsqrt(variance + LAYER_NORM_EPS) * params["scale"] + params["bias"]


def _check_heads(heads: int, width: int) -> None:
    if width % heads:
        raise UserError(f"aggregator.heads={heads} does not divide the joint width {width}.")
