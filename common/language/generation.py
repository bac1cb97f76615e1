"""Texts from prompts of embeddings, as words."""

from typing import Any

import numpy as np
from jaxtyping import Array, Bool, Float, PyTree

from common.errors import UserError
from common.hosts import to_host
from common.language.checkpoint import LM
from common.language.decoding import beam_search, greedy
from common.language.prompts import SEPARATOR


def write_texts(
    lm: LM,
    params: PyTree,
    prompts: Float[Array, "b s d"],
    mask: Bool[Array, "b s"],
    *,
    length: int,
    beams: int = 1,
) -> list[str]:
    """Write the continuation of each prompt, up to the end token or the end of the line.

    Args:
      lm: Whose module and tokenizer.
      params: Its weights on the devices.
      prompts: Embeddings, the last of each at the end; padding may stand anywhere else. They
        may be spread over devices by rows; every host gets all texts.
      mask: False for padding.
      length: The most new tokens.
      beams: 1 takes the likeliest token, one after the other.

    Raises:
      UserError: Prompt and text are longer than the model's positions.
    """
    slots = prompts.shape[1] + length
    if slots > lm.config.positions:
        raise UserError(
            f"a prompt of {prompts.shape[1]} tokens and {length} new ones exceed the language "
            f"model's {lm.config.positions} positions: give it less to read or to write."
        )
    options: dict[str, Any] = {"length": length}
    decode = greedy
    if beams > 1:
        decode, options = beam_search, options | {"beams": beams}
    tokens = to_host(decode(lm.model, params, prompts, mask, **options))
    return [text_of(lm, row) for row in tokens]


def text_of(lm: LM, ids: np.ndarray) -> str:
    """Return the words in front of the end token and the end of the line."""
    ended = np.flatnonzero(ids == lm.config.eos)
    kept = ids[: ended[0]] if len(ended) else ids
    return lm.tokenizer.decode(kept.tolist()).strip(" ").split(SEPARATOR)[0].strip()
