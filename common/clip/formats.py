"""The two formats in which CLIP is published: files, configurations, conversion tables."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.clip import hugging_face, open_clip
from common.clip.config import CLIPConfig, ResNetConfig
from common.clip.preprocess import Preprocess
from common.errors import UserError
from common.files import read_json, read_record
from common.records import Record
from common.sizes import REMEDY
from common.weights.clip import (
    HF_CLIP,
    HF_IGNORE,
    OPEN_CLIP_IGNORE,
    OPEN_CLIP_RESNET,
    OPEN_CLIP_VIT,
)
from common.weights.table import Table

_PREPROCESS_FILE = "preprocessor_config.json"


@dataclass(frozen=True)
class CheckpointFormat:
    """How one library lays a CLIP directory out.

    Attributes:
      config_file: Holds the sizes.
      stem: Of the weights' file name.
      read_config: The content of `config_file` to sizes.
      read_preprocess: Directory, content of `config_file` and image size to preprocessing.
      files: Sizes and preprocessing to the JSON files of a directory.
      table: Sizes to the conversion table of the weights.
      ignore: Patterns of keys that carry no weights.
    """

    config_file: str
    stem: str
    read_config: Callable[[Record], CLIPConfig]
    read_preprocess: Callable[[Path, Record, int], Preprocess]
    files: Callable[[CLIPConfig, Preprocess], dict[str, dict[str, Any]]]
    table: Callable[[CLIPConfig], Table]
    ignore: tuple[str, ...]


def _hf_preprocess(directory: Path, config: Record, size: int) -> Preprocess:
    file = directory / _PREPROCESS_FILE
    content = read_record(file, REMEDY) if file.exists() else {}
    return hugging_face.preprocess_from_json(content, size)


HUGGING_FACE = CheckpointFormat(
    config_file="config.json",
    stem="model",
    read_config=hugging_face.clip_from_json,
    read_preprocess=_hf_preprocess,
    files=lambda config, preprocess: {
        "config.json": hugging_face.clip_to_json(config),
        _PREPROCESS_FILE: hugging_face.preprocess_to_json(preprocess),
    },
    table=lambda config: HF_CLIP,
    ignore=HF_IGNORE,
)
OPEN_CLIP = CheckpointFormat(
    config_file="open_clip_config.json",
    stem="open_clip_model",
    read_config=open_clip.clip_from_json,
    read_preprocess=lambda _, config, size: open_clip.preprocess_from_json(config, size),
    files=lambda config, preprocess: {
        "open_clip_config.json": open_clip.clip_to_json(config)
        | open_clip.preprocess_to_json(preprocess)
    },
    table=lambda config: OPEN_CLIP_RESNET if has_resnet(config) else OPEN_CLIP_VIT,
    ignore=OPEN_CLIP_IGNORE,
)


def find_format(directory: Path) -> CheckpointFormat:
    """Return the format of a CLIP directory.

    Raises:
      UserError: There is no configuration.
    """
    formats = (HUGGING_FACE, OPEN_CLIP)
    present = [x for x in formats if (directory / x.config_file).is_file()]
    if not present:
        names = " nor ".join(source_format.config_file for source_format in formats)
        raise UserError(f"{str(directory)!r} is not a CLIP directory: it holds neither {names}.")
    # Beside an open_clip model, config.json may be that of another library.
    foreign = read_json(directory / present[0].config_file).get("model_type") != "clip"
    return present[-1] if foreign else present[0]


def has_resnet(config: CLIPConfig) -> bool:
    """Return whether the image tower is a ModifiedResNet."""
    return isinstance(config.vision, ResNetConfig)
