"""The kinds of models that a source may hold: how each is read and written, and its keys' table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common.clip import CLIP, load_clip, save_clip
from common.clip.checkpoint import open_clip, read_text_tensors
from common.diffusion import StableDiffusion, load_stable_diffusion, save_stable_diffusion
from common.errors import UserError
from common.files import read_json
from common.language import LM, load_lm, save_lm
from common.language.checkpoint import read_lm_tensors
from common.language.hugging_face import FAMILIES, family_of
from common.weights.clip import HF_IGNORE, HF_TEXT_TOWER
from common.weights.diffusion import VAE, unet_table
from common.weights.files import read_tensors
from common.weights.resolve import resolve
from common.weights.table import Table, match_keys

Model = CLIP | StableDiffusion | LM


@dataclass(frozen=True)
class ModelKind:
    """How one kind of model is read and written."""

    load: Callable[[str], Model]
    save: Callable[[Model, Path], None]
    parts: Callable[[str, Model], "list[Part]"]


@dataclass(frozen=True)
class Part:
    """The weights of one folder.

    Attributes:
      name: What the report calls it.
      tensors: By source key.
      table: Where the keys go.
      ignore: Patterns of keys that carry no weights.
    """

    name: str
    tensors: Mapping[str, np.ndarray]
    table: Table
    ignore: tuple[str, ...] = ()

    def report(self) -> dict[str, Any]:
        """Return where each key goes, and which keys carry no weights."""
        matches = match_keys(self.table, self.tensors, ignore=self.ignore)
        keys = {
            key: {
                "to": match.paths,
                "shape": self.tensors[key].shape,
                "dtype": self.tensors[key].dtype.name,
            }
            for key, match in matches.items()
        }
        return {"keys": keys, "ignored": sorted(set(self.tensors) - set(keys))}


def _clip_parts(source: str, model: CLIP) -> list[Part]:
    clip = open_clip(source, model.config.text.activation)
    return [Part("clip", clip.tensors(), clip.family.table, clip.family.ignore)]


def _diffusion_parts(source: str, model: StableDiffusion) -> list[Part]:
    directory = resolve(source, ["model_index.json"])
    stem = "diffusion_pytorch_model"
    unet = unet_table(model.unet.config.use_linear_projection)
    text = read_text_tensors(directory / "text_encoder")
    return [
        Part("unet", read_tensors(directory / "unet", stem), unet),
        Part("vae", read_tensors(directory / "vae", stem), VAE),
        Part("text_encoder", text, HF_TEXT_TOWER, HF_IGNORE),
    ]


def _language_parts(source: str, model: LM) -> list[Part]:
    family = FAMILIES[family_of(model.config)]
    tensors = read_lm_tensors(resolve(source, ["config.json"]))
    return [Part("language model", tensors, family.table, family.ignore)]


_CLIP = ModelKind(load_clip, save_clip, _clip_parts)
_DIFFUSION = ModelKind(load_stable_diffusion, save_stable_diffusion, _diffusion_parts)
_LANGUAGE = ModelKind(load_lm, save_lm, _language_parts)


def find_kind(source: str) -> ModelKind:
    """Return the kind of a directory's or a hub id's model.

    Raises:
      UserError: The source stands for several models, or cannot be had.
    """
    if source == "pocket":
        raise UserError("'pocket' stands for several models: give the directory of one of them.")
    directory = resolve(source, ["model_index.json", "config.json"])
    if (directory / "model_index.json").is_file():
        return _DIFFUSION
    config = directory / "config.json"
    known = config.is_file() and read_json(config).get("model_type") in list(FAMILIES)
    return _LANGUAGE if known else _CLIP
