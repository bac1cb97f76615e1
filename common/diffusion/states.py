"""Text states of prompts: what the U-Net attends to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from common.clip import TextTower
from common.diffusion.chunks import chunk_weights, prompt_chunks, weigh
from common.diffusion.embedding import Vocabulary
from common.diffusion.parts import DiffusionModel
from common.spread import over_devices

_REMEDY = "shorten it, or draw with --weighted (in Python weighted=True), which takes any length"


def vocabulary_of(sd: DiffusionModel, words: Mapping[str, np.ndarray]) -> Vocabulary:
    """Return a model's tokens with learned words beside them."""
    table = np.asarray(sd.params["text"]["token_embedding"])
    return Vocabulary(sd.tokenizer, table, words, sd.tokenizer.added_words)


def text_states(
    sd: DiffusionModel, prompts: Sequence[str], words: Mapping[str, np.ndarray]
) -> Float[np.ndarray, "b s d"]:
    """Return the text states of each prompt; `words` are learned vectors by word."""
    known = vocabulary_of(sd, words)
    return _encoded(sd, np.stack([known.embedded(text, _REMEDY) for text in prompts]))


def weighted_states(
    sd: DiffusionModel, prompts: Sequence[str], words: Mapping[str, np.ndarray]
) -> list[Float[np.ndarray, "s d"]]:
    """Return the text states of each weighted prompt, chunk behind chunk."""
    known = vocabulary_of(sd, words)
    by_prompt = [prompt_chunks(known, text) for text in prompts]
    chunks = [chunk for several in by_prompt for chunk in several]
    states = _encoded(sd, np.stack([known.framed(chunk) for chunk in chunks]))
    weighted = map(weigh, states, [chunk_weights(known, chunk) for chunk in chunks])
    return [np.concatenate([next(weighted) for _ in several]) for several in by_prompt]


@dataclass(frozen=True, eq=False)
class PromptGroup:
    """Prompts whose text states are of one length, with those of the negative prompt.

    Attributes:
      texts: The prompts.
      states: Theirs.
      negative: As long as theirs.
    """

    texts: tuple[str, ...]
    states: Float[np.ndarray, "b s d"]
    negative: Float[np.ndarray, "1 s d"]


def prompt_groups(
    sd: DiffusionModel,
    prompts: Sequence[str],
    negative: str,
    words: Mapping[str, np.ndarray],
    weighted: bool,
) -> list[PromptGroup]:
    """Return different prompts with their text states, in a group for each length.

    Of a weighted prompt and `negative` the shorter one is filled up with chunks of an empty text,
    so that the states of a prompt do not depend on the prompts beside it.
    """
    if not weighted:
        states, opposite = (text_states(sd, texts, words) for texts in (prompts, [negative]))
        return [PromptGroup(tuple(prompts), states, opposite)]
    (blank,) = text_states(sd, [""], {})
    by_prompt = dict(zip(prompts, weighted_states(sd, prompts, words), strict=True))
    (opposite,) = weighted_states(sd, [negative], words)
    groups = []
    for length in sorted({max(len(states), len(opposite)) for states in by_prompt.values()}):
        filled = {
            text: _filled_up(states, length, blank)
            for text, states in by_prompt.items()
            if max(len(states), len(opposite)) == length
        }
        others = _filled_up(opposite, length, blank)[None]
        groups.append(PromptGroup(tuple(filled), np.stack(list(filled.values())), others))
    return groups


def _filled_up(
    states: Float[np.ndarray, "s d"], length: int, blank: Float[np.ndarray, "c d"]
) -> Float[np.ndarray, "l d"]:
    return np.concatenate([states, *[blank] * ((length - len(states)) // len(blank))])


def _states(params: PyTree, embedded: Array, *, tower: TextTower) -> Array:
    ends = jnp.zeros(len(embedded), jnp.int32)  # nothing is pooled here
    return tower.apply({"params": params}, embedded, ends).last_hidden_state


def _encoded(
    sd: DiffusionModel, embedded: Float[np.ndarray, "b s d"]
) -> Float[np.ndarray, "b s d"]:
    return over_devices(_states, sd.params["text"], embedded, tower=sd.text_tower)
