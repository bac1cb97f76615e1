"""CLIP without its weights: the sizes of published models, and what a program needs of them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from common.clip.checkpoint import abstract_params
from common.clip.config import CLIPConfig, TextConfig
from common.clip.families import FAMILIES, Family, family_of, find_family
from common.clip.families.hugging_face import HUGGING_FACE
from common.clip.image_size import resize_config
from common.clip.model import CLIP
from common.clip.preprocess import Preprocess
from common.clip.single_file import open_clip_file
from common.clip.tokenizer import Tokenizer
from common.errors import UserError
from common.files import read_record
from common.sizes import REMEDY
from common.text import shown, some
from common.weights.resolve import local_directory, single_file

Description = TypeVar("Description")
_LISTED = 8  # models that an error names before it only says that there are more

KNOWN: Mapping[str, CLIPConfig] = {
    source: config for family in FAMILIES for source, config in family.known.items()
}


def describe_clip(
    source: str, dtype: DTypeLike = jnp.float32, *, image_size: int | None = None
) -> CLIP:
    """Return what `load_clip` does, with shapes and dtypes in place of weights.

    Args:
      source: "pocket", "pocket:siglip" or a directory, of which the small files are read; a single
        file; or a key of `KNOWN`.
      dtype: Of the weights and activations.
      image_size: As of `load_clip`.

    Raises:
      UserError: The model is neither at hand nor known, or not one for images of this size.
    """
    directory = local_directory(source)
    if file := single_file(source):
        clip = open_clip_file(file)
        config, tokenizer, family = clip.config, clip.tokenizer, clip.family
    elif directory is None:
        config = known(KNOWN, source)
        family = family_of(config)
        tokenizer = describe_tokenizer(None, config.text)
    else:
        directory = directory / "clip" if source == "pocket" else directory
        family = find_family(directory)
        config = family.read_config(read_record(directory / family.config_file, REMEDY))
        tokenizer = describe_tokenizer(directory, config.text, family)
    config = resize_config(config, family, image_size)
    tokenizer.fit_into(config.text.positions)
    preprocess = Preprocess(config.vision.image_size)
    params = of_dtype(abstract_params(config), dtype)
    return CLIP(config, params, tokenizer, preprocess, "abstract", dtype)


def describe_tokenizer(
    directory: Path | None, config: TextConfig, family: Family = HUGGING_FACE
) -> Tokenizer:
    """Return the directory's tokenizer, or without one a stand-in that has no vocabulary.

    The stand-in makes one token of every word, as CLIP's vocabulary does with common words:
    lengths and positions are right, and the ids mean nothing.
    """
    if directory is not None and family.has_tokenizer(directory):
        tokenizer = family.read_tokenizer(directory)
        tokenizer.require_rows(config.vocab_size, directory)
        return tokenizer
    return Tokenizer(
        _Words(config.bos, config.eos, config.pad, config.positions, config.vocab_size)
    )


def known(table: Mapping[str, Description], source: str) -> Description:
    """Return the entry of a table of known models.

    Raises:
      UserError: The table does not have it.
    """
    if source not in table:
        raise UserError(
            f"the sizes of the model {shown(source)} are not known without its files: give a local "
            f"directory of it, or one of {some(table, _LISTED, str)}."
        )
    return table[source]


def of_dtype(tree: Any, dtype: DTypeLike) -> Any:
    """Return the shapes of `tree` with another dtype."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, dtype), tree)


@dataclass(frozen=True)
class _Words:
    """The part of a `transformers` tokenizer that `Tokenizer` uses."""

    bos_token_id: int | None
    eos_token_id: int
    pad_token_id: int
    model_max_length: int
    size: int

    @property
    def backend_tokenizer(self) -> "_Words":
        return self

    def encode_batch(self, texts: Sequence[str], add_special_tokens: bool) -> list[SimpleNamespace]:
        assert not add_special_tokens
        # Letters, single digits, and runs of signs: where CLIP's vocabulary splits first.
        words = re.compile(r"[^\W\d_]+|\d|(?:[^\w\s]|_)+")
        return [SimpleNamespace(ids=[0] * len(words.findall(text))) for text in texts]

    def to_str(self) -> str:
        return repr(self)

    def get_vocab(self) -> dict[str, int]:
        return {"": self.size - 1}

    @property
    def added_tokens_decoder(self) -> dict[int, Any]:
        return {}

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join("?" for _ in ids)
