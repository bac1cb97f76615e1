"""Loading and saving language models in Hugging Face's layout."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from common.clip.layers import repeat_block
from common.files import read_record, write_json
from common.language.config import LMConfig
from common.language.hugging_face import FAMILIES, family_of, lm_from_json, lm_to_json
from common.language.model import LanguageModel
from common.language.tokenizer import LMTokenizer
from common.sizes import REMEDY
from common.trees import Params
from common.weights.files import read_tensors, write_tensors
from common.weights.fingerprint import fingerprint
from common.weights.resolve import resolve
from common.weights.table import to_flax, to_source

_SMALL_FILES = (
    "config.json",
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
)
_PREFIX = "transformer."


@dataclass(frozen=True)
class LM:
    """What `load_lm` gives.

    Attributes:
      config: Sizes and form.
      params: Arrays on the host; put them on devices once, pass them as arguments.
      tokenizer: Text to ids and back; None where only sizes are known.
      fingerprint: Names these weights in caches and results.
      dtype: Of the weights and activations.
    """

    config: LMConfig
    params: Params
    tokenizer: LMTokenizer | None
    fingerprint: str
    dtype: DTypeLike = jnp.float32

    @property
    def model(self) -> LanguageModel:
        """The module; its weights are `params`."""
        return LanguageModel(self.config, self.dtype)


def load_lm(source: str, dtype: DTypeLike = jnp.float32) -> LM:
    """Load GPT-2 or GPT-J.

    Args:
      source: "pocket", a directory in Hugging Face's layout, or a hub id.
      dtype: Of the weights on the host and of the activations.

    Raises:
      UserError: The model cannot be found, is of another kind, or its parts do not fit.
    """
    directory = find_lm(source)
    config = lm_from_json(read_record(directory / "config.json", REMEDY))
    family = FAMILIES[family_of(config)]
    tensors = read_lm_tensors(directory)
    options = {"ignore": family.ignore, "expected": abstract_lm(config), "dtype": dtype}
    params = to_flax(family.table, tensors, **options)
    tokenizer = LMTokenizer.from_directory(directory)
    tokenizer.require_rows(config.vocab_size, directory)
    return LM(config, params, tokenizer, fingerprint(params, repr(config)), dtype)


def find_lm(source: str) -> Path:
    """Find a language model's directory, fetching its files where needed.

    Raises:
      UserError: There is no such directory.
    """
    directory = resolve(source, _SMALL_FILES, ["model"])
    return directory / "lm" if source == "pocket" else directory


def save_lm(lm: LM, directory: Path | str) -> None:
    """Write what `load_lm` and transformers read."""
    directory = Path(directory)
    lm.tokenizer.save(directory)
    write_json(directory / "config.json", lm_to_json(lm.config))
    tensors = to_source(FAMILIES[family_of(lm.config)].table, lm.params)
    write_tensors(directory / "model.safetensors", tensors, {"format": "pt"})


def read_lm_tensors(directory: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a language model under the keys of the whole model."""
    tensors = read_tensors(directory)
    if "wte.weight" not in tensors:
        return tensors
    # OpenAI's own files hold the transformer alone.
    return {f"{_PREFIX}{key}": tensor for key, tensor in tensors.items()}


def abstract_lm(config: LMConfig) -> Params:
    """Return the shapes and dtypes of the parameters, without computing them."""

    def init(key: jax.Array, ids: jax.Array) -> Any:
        model = LanguageModel(dataclasses.replace(config, layers=1))

        def run(model: LanguageModel, ids: jax.Array) -> jax.Array:
            return model.logits(model(model.embed(ids))[0])

        return model.init(key, ids, method=run)["params"]

    # Layers are alike, and tracing each takes its time.
    shapes = jax.eval_shape(init, jax.random.key(0), jnp.zeros((1, 1), jnp.int32))
    return repeat_block(shapes, config.layers)
