"""Language models without their weights: what a program needs to know of them."""

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from common.errors import UserError
from common.files import read_record
from common.language.checkpoint import LM, abstract_lm, find_lm
from common.language.config import KNOWN
from common.language.hugging_face import lm_from_json
from common.sizes import REMEDY
from common.text import shown
from common.weights.resolve import local_directory


def describe_lm(source: str, dtype: DTypeLike = jnp.float32) -> LM:
    """Return what `load_lm` gives, with shapes and dtypes in place of weights, and no tokenizer.

    Args:
      source: "pocket" or a directory, of which `config.json` is read; or a key of `KNOWN`.
      dtype: Of the weights and activations.

    Raises:
      UserError: The model is neither at hand nor known.
    """
    if local_directory(source):
        config = lm_from_json(read_record(find_lm(source) / "config.json", REMEDY))
    elif source in KNOWN:
        config = KNOWN[source]
    else:
        raise UserError(
            f"the sizes of the model {shown(source)} are not known without its files: give a local "
            f"directory of it, or one of {', '.join(KNOWN)}."
        )
    params = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, dtype), abstract_lm(config))
    return LM(config, params, None, "abstract", dtype)
