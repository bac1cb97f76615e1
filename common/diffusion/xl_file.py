"""Stable Diffusion XL in one file, as web UIs use it: sizes, and what no shape tells."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from common.clip.config import TextConfig
from common.clip.single_file import text_sizes as open_clip_sizes
from common.clip.single_file import tokenizer_place
from common.clip.tokenizer import Tokenizer
from common.diffusion.architecture import XLArchitecture
from common.diffusion.config import SIZES, UNetConfig
from common.diffusion.fields import TEXT_TIME
from common.diffusion.file_parts import (
    SingleFile,
    Tensors,
    require_parts,
    said_prediction,
    told,
    with_tables,
)
from common.diffusion.schedule import NoiseSchedule
from common.diffusion.shapes import text_sizes, unet_fields, vae_sizes
from common.diffusion.text_encoder import FIRST, SECOND
from common.errors import UserError
from common.text import shown
from common.weights.clip import HF_TEXT_TOWER, OPEN_CLIP_PROJECTED_TEXT_TOWER, with_text_model
from common.weights.web_ui import XL_PREFIXES, part_of

XL_SCHEDULER = {
    "_class_name": "EulerDiscreteScheduler",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "interpolation_type": "linear",
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "sample_max_value": 1.0,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "timestep_spacing": "leading",
    "use_karras_sigmas": False,
}
"""The scheduler file of Stable Diffusion XL as published."""

HEAD = "conditioner.embedders."
"""What stands before the keys of the text encoders, and of no other model's."""

_REFINER = f"{HEAD}0.model."
# Entries without content, by which tuned models say how they were trained.
_SAID = {
    "v_pred": {"prediction_type": "v_prediction"},
    "ztsnr": {"rescale_betas_zero_snr": True},
}


def is_xl(tensors: Tensors) -> bool:
    """Return whether a file's tensors are those of a Stable Diffusion XL."""
    return any(key.startswith(HEAD) for key in tensors)


def open_xl(file: Path, tensors: Tensors, prediction: str | None) -> SingleFile:
    """Open a Stable Diffusion XL in one file; see `open_single_file`."""
    parts = _parts(file, tensors)
    first, second = _texts(file, parts)
    unet = told(file, lambda: UNetConfig(**_unet(parts["unet"], second)))
    others = {"sample_size": 1024, "scaling_factor": 0.13025, "force_upcast": True}
    vae = told(file, lambda: vae_sizes(parts["vae"], **others))
    place = tokenizer_place(file)
    texts = {FIRST.folder: HF_TEXT_TOWER, SECOND.folder: OPEN_CLIP_PROJECTED_TEXT_TOWER}
    return SingleFile(
        XLArchitecture(unet, vae, first, _schedule(file, tensors, prediction), second),
        {FIRST: Tokenizer.from_directory(place), SECOND: Tokenizer.from_directory(place, pad=0)},
        place,
        with_tables(tensors, parts, unet, vae, texts),
    )


def xl_texts(file: Path, tensors: Tensors) -> tuple[TextConfig, TextConfig]:
    """Return the sizes of both text encoders."""
    return _texts(file, _parts(file, tensors))


def _parts(file: Path, tensors: Tensors) -> dict[str, Tensors]:
    if any(key.startswith(_REFINER) for key in tensors):
        raise UserError(
            f"{shown(file)} is a refiner of Stable Diffusion XL, which goes on with another "
            "model's pictures and is not supported: give the base model."
        )
    parts: dict[str, Tensors] = {name: part_of(tensors, name, XL_PREFIXES) for name in XL_PREFIXES}
    require_parts(file, parts, "is a Stable Diffusion XL that ")
    return parts | {FIRST.folder: with_text_model(parts[FIRST.folder])}


def _texts(file: Path, parts: Mapping[str, Tensors]) -> tuple[TextConfig, TextConfig]:
    first = told(file, lambda: text_sizes(parts[FIRST.folder]))
    return first, told(file, lambda: _second(parts[SECOND.folder]))


def _second(text: Tensors) -> TextConfig:
    sizes = open_clip_sizes(text, "gelu", text["text_projection"].shape[1])
    return replace(sizes, pool="argmax")


def _unet(tensors: Tensors, text: TextConfig) -> dict[str, Any]:
    whole = tensors["label_emb.0.0.weight"].shape[1]
    return unet_fields(tensors, first=False) | {
        "sample_size": 128,
        "addition_embed_type": TEXT_TIME,
        "addition_time_embed_dim": (whole - text.projection) // SIZES,
        "projection_class_embeddings_input_dim": whole,
    }


def _schedule(file: Path, tensors: Tensors, prediction: str | None) -> NoiseSchedule:
    fields: Mapping[str, Any] = XL_SCHEDULER
    for key, said in _SAID.items():
        fields = fields | said if key in tensors else fields
    if asked := said_prediction(file, prediction):
        fields = fields | {"prediction_type": asked}
    return NoiseSchedule.from_dict(fields)
