"""Greedy and beam decoding: `lax.scan` over a static number of new tokens, with a cache.

Prompts are embeddings, padded on the left, so that all rows end in the same slot.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from common.language.model import Cache, LanguageModel, empty_cache

NEVER = -1e9
"""The score of what must not be chosen; finite, so that differences stay numbers."""


@partial(jax.jit, static_argnames=("model", "length"))
def greedy(
    model: LanguageModel,
    params: PyTree,
    prompts: Float[Array, "b s d"],
    mask: Bool[Array, "b s"],
    *,
    length: int,
) -> Int[Array, "b {length}"]:
    """Choose the likeliest token, one after the other; what follows the end is filled with its id.

    Args:
      model: The module.
      params: Its weights.
      prompts: Embeddings, padded on the left.
      mask: False for padding.
      length: New tokens, the end token included.
    """
    eos = model.config.eos
    logits, cache = _start(model, params, prompts, mask, length)

    def step(carry: PyTree, _: None) -> tuple[PyTree, Array]:
        logits, cache, ended = carry
        token = jnp.where(ended, eos, jnp.argmax(logits, axis=-1))
        ended |= token == eos
        logits, cache = _read(model, params, token, cache)
        return (logits, cache, ended), token

    ended = jnp.zeros(len(prompts), bool)
    _, tokens = jax.lax.scan(step, (logits, cache, ended), length=length)
    return tokens.T


@partial(jax.jit, static_argnames=("model", "length", "beams", "length_penalty"))
def beam_search(
    model: LanguageModel,
    params: PyTree,
    prompts: Float[Array, "b s d"],
    mask: Bool[Array, "b s"],
    *,
    length: int,
    beams: int,
    length_penalty: float = 1.0,
) -> Int[Array, "b {length}"]:
    """Search the best of several texts that are followed side by side.

    The rules are those of transformers' `generate` with its defaults: 2 k candidates a step, of
    which only the first k may end; ended texts are ranked by log-probability over
    `tokens ** length_penalty`; a row is done once the best open text, at its present length,
    scores below the worst of k ended ones.

    Args:
      model: The module.
      params: Its weights.
      prompts: Embeddings, padded on the left.
      mask: False for padding.
      length: New tokens, the end token included.
      beams: k.
      length_penalty: Above zero, longer texts gain.
    """
    batch, eos = len(prompts), model.config.eos
    logits, cache = _start(model, params, prompts, mask, length)
    rows = jnp.repeat(jnp.arange(batch), beams)
    texts = jnp.full((batch, beams, length), eos)
    scores = jnp.full((batch, beams), NEVER)
    state = {
        "logits": logits[rows],
        "cache": _reorder(cache, rows),
        "open": texts,
        # Equal beams would only repeat each other.
        "open_scores": scores.at[:, 0].set(0.0),
        "ended": texts,
        "ended_scores": scores,
        "done": jnp.zeros(batch, bool),
    }

    def step(state: PyTree, number: Array) -> tuple[PyTree, None]:
        # Candidates: the 2 k best continuations of all open texts together.
        likely = jax.nn.log_softmax(state["logits"]).reshape(batch, beams, -1)
        total = (likely + state["open_scores"][..., None]).reshape(batch, -1)
        best, index = jax.lax.top_k(total, 2 * beams)
        source, token = index // likely.shape[-1], index % likely.shape[-1]
        texts = _take(state["open"], source).at[:, :, number].set(token)
        ends = (token == eos) | (number == length - 1)

        # Those that end compete with the texts that have ended before.
        allowed = ends & (jnp.arange(2 * beams) < beams) & ~state["done"][:, None]
        rated = jnp.where(allowed, best / (number + 1.0) ** length_penalty, NEVER)
        ranked = jnp.concatenate([state["ended_scores"], rated], axis=1)
        ended_scores, chosen = jax.lax.top_k(ranked, beams)
        ended = _take(jnp.concatenate([state["ended"], texts], axis=1), chosen)

        # The others stay open.
        open_scores, kept = jax.lax.top_k(jnp.where(ends, best + NEVER, best), beams)
        source, token = (jnp.take_along_axis(x, kept, axis=1) for x in (source, token))
        hopeful = open_scores[:, 0] / (number + 1.0) ** length_penalty
        rows = (jnp.arange(batch)[:, None] * beams + source).reshape(-1)
        cache = _reorder(state["cache"], rows)
        logits, cache = _read(model, params, token.reshape(-1), cache)
        return {
            "logits": logits,
            "cache": cache,
            "open": _take(texts, kept),
            "open_scores": open_scores,
            "ended": ended,
            "ended_scores": ended_scores,
            "done": state["done"] | (hopeful <= ended_scores[:, -1]),
        }, None

    state, _ = jax.lax.scan(step, state, jnp.arange(length))
    return state["ended"][:, 0]


def _start(
    model: LanguageModel, params: PyTree, prompts: Array, mask: Array, length: int
) -> tuple[Float[Array, "b v"], Cache]:
    """Read the prompts: logits of the first new token, and a cache with room for the rest."""
    batch, slots, _ = prompts.shape
    cache = empty_cache(model.config, batch, slots + length, model.dtype)
    hidden, cache = model.apply({"params": params}, prompts, mask, cache)
    return model.apply({"params": params}, hidden[:, -1], method="logits"), cache


def _read(
    model: LanguageModel, params: PyTree, token: Int[Array, "b"], cache: Cache
) -> tuple[Float[Array, "b v"], Cache]:
    embedded = model.apply({"params": params}, token[:, None], method="embed")
    hidden, cache = model.apply({"params": params}, embedded, None, cache)
    return model.apply({"params": params}, hidden[:, -1], method="logits"), cache


def _take(x: Array, index: Int[Array, "b k"]) -> Array:
    return jnp.take_along_axis(x, index[..., None], axis=1)


def _reorder(cache: Cache, rows: Int[Array, "r"]) -> Cache:
    def move(x: Array) -> Array:
        return x[rows]

    return Cache(jax.tree.map(move, cache.blocks), move(cache.valid), cache.filled)
