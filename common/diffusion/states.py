"""Text states of prompts and of the negative prompt, side by side."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Float

from common.diffusion.learned import LearnedVectors
from common.diffusion.parts import DiffusionModel
from common.diffusion.text_encoder import TextConditions
from common.diffusion.text_encoding import encode_prompts, encode_weighted


@dataclass(frozen=True, eq=False)
class PromptGroup:
    """Prompts whose text states are of one length, with those of the negative prompt.

    Attributes:
      texts: The prompts.
      conditions: Theirs, in rows.
      opposite: The negative prompt's, in one row as long as theirs.
    """

    texts: tuple[str, ...]
    conditions: TextConditions
    opposite: TextConditions


def prompt_groups(
    sd: DiffusionModel,
    prompts: Sequence[str],
    negative: str,
    words: LearnedVectors,
    weighted: bool,
) -> list[PromptGroup]:
    """Return different prompts with their text states, in a group for each length.

    Of a weighted prompt and `negative` the shorter one is filled up with chunks of an empty text,
    so that the states of a prompt do not depend on the prompts beside it. Where the model asks for
    it, zeros stand for an empty negative prompt.
    """
    absent = sd.zeroes_negative and not negative
    if not weighted:
        encoded, opposite = (encode_prompts(sd, texts, words) for texts in (prompts, [negative]))
        return [PromptGroup(tuple(prompts), encoded, _zeros(opposite) if absent else opposite)]
    (blank,) = encode_prompts(sd, [""], {}).states
    by_prompt = dict(zip(prompts, encode_weighted(sd, prompts, words), strict=True))
    (opposite,) = encode_weighted(sd, [negative], words)
    lengths = {text: max(len(x.states), len(opposite.states)) for text, x in by_prompt.items()}
    groups = []
    for length in sorted(set(lengths.values())):
        texts = tuple(text for text in by_prompt if lengths[text] == length)
        filled = _stacked(_filled_up(by_prompt[text], length, blank) for text in texts)
        others = _stacked([_filled_up(opposite, length, blank)])
        groups.append(PromptGroup(texts, filled, _zeros(others) if absent else others))
    return groups


def _zeros(conditions: TextConditions) -> TextConditions:
    return jax.tree.map(np.zeros_like, conditions)


def _stacked(conditions: Iterable[TextConditions]) -> TextConditions:
    return jax.tree.map(lambda *rows: np.stack(rows), *conditions)


def _filled_up(
    conditions: TextConditions, length: int, blank: Float[np.ndarray, "c d"]
) -> TextConditions:
    states = conditions.states
    missing = [blank] * ((length - len(states)) // len(blank))
    return TextConditions(np.concatenate([states, *missing]), conditions.pooled)
