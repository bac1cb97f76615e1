"""The text side: templates whose first words give way to prompts, and where prompts begin.

Source: sections 3.2 and 3.3 of the paper; `trainers/protext.py` of the reference.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from common.clip.tokenizer import Tokenizer
from common.errors import UserError
from common.trees import AnyArray

CONTEXT = "a photo of a"
FILLER = "X"
STANDARD_DEVIATION = 0.02


@dataclass(frozen=True)
class ClassTexts:
    """Tokenised class templates.

    Attributes:
      ids: Padded to the tower's positions, `[k s]`.
      end: Position of the end-of-text token, `[k]`, where CLIP's towers pool.
    """

    ids: np.ndarray
    end: np.ndarray


def default_template(length: int) -> str:
    """Return the template for `length` prompt vectors, which overwrite its words."""
    if length <= len(CONTEXT.split()):
        return f"{CONTEXT} {{}}."
    return " ".join([FILLER] * length) + " {}."


def overwritten(config: ConfigDict) -> int:
    """Return how many words of a template give way to prompts; to an adapter, none."""
    return config.length if config.mapping == "prompts" else 0


def training_template(config: ConfigDict) -> str:
    """Return the template of training, whose first words give way to prompts."""
    return config.template or default_template(overwritten(config))


def tokenise(tokenizer: Tokenizer, template: str, names: Sequence[str], length: int) -> ClassTexts:
    """Fill the names into a template whose first `length` tokens the prompts overwrite.

    Raises:
      UserError: The template has no slot, prompts would overwrite the class name, or a text is
        too long for the tower.
    """
    if template.count("{}") != 1:
        raise UserError(f"the template {template!r} needs one {{}} for the class name.")
    free = len(tokenizer.encode(template.partition("{}")[0].rstrip()))
    if length > free:
        raise UserError(
            f"length={length} prompt vectors would overwrite the class name: the template "
            f"{template!r} has {free} tokens in front of it; lower length or lengthen the template."
        )
    sequences = tokenizer.encode_all([template.replace("{}", name) for name in names])
    ends = np.array([len(ids) + tokenizer.specials - 1 for ids in sequences])
    return ClassTexts(tokenizer.pack(sequences), ends)


def initial_prompts(
    key: Array, context: Float[AnyArray, "c d"], length: int, depth: int
) -> Float[Array, "j t d"]:
    """Return random prompts; those of the first block are "a photo of a" where it is long enough.

    The supplement says so of every length; the reference's code does not beyond four.

    Args:
      key: Of the random ones.
      context: Token embeddings of `CONTEXT`.
      length: t.
      depth: j.
    """
    prompts = STANDARD_DEVIATION * jax.random.normal(key, (depth, length, context.shape[1]))
    if length <= len(context):
        prompts = prompts.at[0].set(jnp.asarray(context[:length], prompts.dtype))
    return prompts
