"""The kinds of models that a source may hold: how each is read and written, and its keys' table."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from common.clip import CLIP, load_clip, save_clip
from common.clip.checkpoint import find_and_open, read_text_tensors, text_table
from common.diffusion import StableDiffusion, load_stable_diffusion, save_stable_diffusion
from common.diffusion.architecture import INDEX
from common.diffusion.checkpoint import STEM
from common.diffusion.single_file import is_single_file, open_single_file
from common.errors import UserError
from common.files import read_json
from common.language import LM, load_lm, save_lm
from common.language.checkpoint import read_lm_tensors
from common.language.hugging_face import FAMILIES, family_of
from common.weights.clip import HF_IGNORE
from common.weights.diffusion import VAE, unet_table
from common.weights.files import read_tensors
from common.weights.parts import Part
from common.weights.resolve import resolve, single_file

Model = CLIP | StableDiffusion | LM


@dataclass(frozen=True)
class ModelKind:
    """How one kind of model is read and written.

    Attributes:
      load: Source to model; options say what single files of the kind do not.
      save: Writes a model into a folder.
      parts: The source's tensors and tables, for a model that was loaded of it.
    """

    load: Callable[..., Model]
    save: Callable[[Model, Path], None]
    parts: Callable[[str, Model], "list[Part]"]


def _clip_parts(source: str, model: CLIP) -> list[Part]:
    clip = find_and_open(source, model.config.text.activation)
    return [Part("clip", clip.tensors(), clip.family.table, clip.family.ignore)]


def _diffusion_parts(source: str, model: StableDiffusion) -> list[Part]:
    if file := single_file(source):
        return list(open_single_file(file, model.schedule.prediction_type).parts.values())
    directory = resolve(source, [INDEX])
    unet = unet_table(model.unet.config.use_linear_projection)
    texts = [
        Part(folder, read_text_tensors(directory / folder), text_table(config), HF_IGNORE)
        for encoder in model.modules.text_encoders
        for folder, config in [(encoder.part.folder, encoder.tower.config)]
    ]
    return [
        Part("unet", read_tensors(directory / "unet", STEM), unet),
        Part("vae", read_tensors(directory / "vae", STEM), VAE),
        *texts,
    ]


def _language_parts(source: str, model: LM) -> list[Part]:
    family = FAMILIES[family_of(model.config)]
    tensors = read_lm_tensors(resolve(source, ["config.json"]))
    return [Part("language model", tensors, family.table, family.ignore)]


_CLIP = ModelKind(load_clip, save_clip, _clip_parts)
_DIFFUSION = ModelKind(load_stable_diffusion, save_stable_diffusion, _diffusion_parts)
_LANGUAGE = ModelKind(load_lm, save_lm, _language_parts)


def find_kind(source: str) -> ModelKind:
    """Return the kind of a directory's, a file's or a hub id's model.

    Raises:
      UserError: The source stands for several models, or cannot be had.
    """
    if source == "pocket":
        raise UserError("'pocket' stands for several models: give the directory of one of them.")
    if file := single_file(source):
        return _DIFFUSION if is_single_file(read_tensors(file)) else _CLIP
    directory = resolve(source, [INDEX, "config.json"])
    if (directory / INDEX).is_file():
        return _DIFFUSION
    config = directory / "config.json"
    known = config.is_file() and read_json(config).get("model_type") in list(FAMILIES)
    return _LANGUAGE if known else _CLIP
