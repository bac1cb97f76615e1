"""What makes one published family of models: its files, its towers, its tokenizer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flax import linen as nn

from common.clip.config import CLIPConfig
from common.clip.preprocess import Preprocess
from common.clip.text import TextTower
from common.clip.tokenizer import Tokenizer
from common.records import Record
from common.weights.table import Table

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
)


@dataclass(frozen=True)
class Family:
    """One published family: how a directory of it is laid out, and what the model computes.

    A tower whose configuration has a single number of `layers` calls its blocks `block_0`,
    `block_1`, ..., all alike. Text towers take `TextTower`'s place: they derive from it.

    Attributes:
      name: What the family is called in a sentence.
      config_file: Holds the sizes.
      claims: Whether the content of `config_file` describes this family.
      read_config: The content of `config_file` to sizes.
      read_preprocess: Directory, content of `config_file` and image size to preprocessing.
      files: Sizes and preprocessing to the JSON files of a directory.
      configs: The types of the text and the image tower's configuration; of two families with the
        same types the first in the registry writes them.
      text_tower: Configuration and dtype to a module.
      image_tower: Likewise.
      table: The conversion table of the weights.
      ignore: Patterns of keys that carry no weights.
      stem: Of the weights' file name.
      small_files: What else is read, beside weights and `config_file`.
      read_tokenizer: Directory to tokenizer.
      tokenizer_marks: The files of which a directory with a tokenizer holds at least one.
      tokenizer_source: A model of the hub with the tokenizer of the whole family, if it has one.
      scalars: Parameters beside those of the towers.
      in_transformers: Whether transformers reads what `files` writes.
      resampling: How position embeddings are brought to images of another size, a key of
        `positions.RULES`; empty where they are not.
      known: Sizes of published models by their hub ids.
    """

    name: str
    config_file: str
    claims: Callable[[Mapping[str, Any]], bool]
    read_config: Callable[[Record], CLIPConfig]
    read_preprocess: Callable[[Path, Record, int], Preprocess]
    files: Callable[[CLIPConfig, Preprocess], dict[str, dict[str, Any]]]
    configs: tuple[type, type]
    text_tower: Callable[..., TextTower]
    image_tower: Callable[..., nn.Module]
    table: Table
    ignore: tuple[str, ...]
    stem: str
    small_files: tuple[str, ...] = TOKENIZER_FILES
    read_tokenizer: Callable[[Path], Tokenizer] = Tokenizer.from_directory
    tokenizer_marks: tuple[str, ...] = ("tokenizer.json", "vocab.json")
    tokenizer_source: str = ""
    scalars: tuple[str, ...] = ("logit_scale",)
    in_transformers: bool = False
    resampling: str = ""
    known: Mapping[str, CLIPConfig] = field(default_factory=dict)

    def has_tokenizer(self, directory: Path) -> bool:
        """Return whether a directory holds a tokenizer of the family."""
        return any((directory / name).is_file() for name in self.tokenizer_marks)
