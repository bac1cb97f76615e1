"""Stable Diffusion in one file, as web UIs use it: sizes, and what no shape tells."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from common.clip.config import TextConfig
from common.clip.single_file import count, tokenizer_place
from common.clip.single_file import text_sizes as open_clip_sizes
from common.clip.tokenizer import Tokenizer
from common.diffusion.architecture import Architecture
from common.diffusion.config import UNetConfig
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
from common.diffusion.text_encoder import FIRST
from common.diffusion.xl_file import HEAD, is_xl, open_xl, xl_texts
from common.errors import UserError
from common.text import shown
from common.weights.clip import HF_TEXT_TOWER, OPEN_CLIP_TEXT_TOWER, with_text_model
from common.weights.files import read_tensors
from common.weights.model_names import refuse_file
from common.weights.web_ui import PREFIXES, part_of

_SCHEDULER = {
    "_class_name": "PNDMScheduler",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
}
_SIDES = {"epsilon": 64, "v_prediction": 96}
"""Latents along a side, by what a UNet predicts: 512 and 768 pixels."""

# Keys of other models in the same layout, and what they are.
_OTHERS = {
    "text_encoders.": "a Stable Diffusion 3",
    "model.diffusion_model.joint_blocks.": "a Stable Diffusion 3",
    "model.diffusion_model.double_blocks.": "a FLUX",
    "control_model.": "a ControlNet",
    # Networks of XL's shape, whose noise is not mixed in by betas.
    "edm_mean": "a Playground 2.5",
    "edm_vpred.": "a CosXL",
}


def open_single_file(file: Path, prediction: str | None = None) -> SingleFile:
    """Open a Stable Diffusion in one file.

    Args:
      file: Safetensors or a PyTorch archive, in the layout of web UIs.
      prediction: One of `PREDICTIONS`, where nothing else says what a UNet of 2.x predicts.

    Raises:
      UserError: The file is another model, or what it predicts is not known, or there is no
        tokenizer.
    """
    tensors = _read(file)
    if is_xl(tensors):
        return open_xl(file, tensors, prediction)
    parts = _parts(file, tensors)
    second = _is_second(parts["text_encoder"])
    unet = told(file, lambda: UNetConfig(**unet_fields(parts["unet"], first=not second)))
    vae = told(file, lambda: vae_sizes(parts["vae"], sample_size=768 if second else 512))
    text = told(file, lambda: _text(parts["text_encoder"]))
    predicts = _prediction(file, prediction, second)
    if second:
        unet = replace(unet, sample_size=_SIDES[predicts])
    place = tokenizer_place(file)
    # With 0 as the text tower of 2.x was trained, whatever CLIP's own files say.
    tokenizer = Tokenizer.from_directory(place, pad=0 if second else None)
    texts = {"text_encoder": OPEN_CLIP_TEXT_TOWER if second else HF_TEXT_TOWER}
    schedule = NoiseSchedule.from_dict(_SCHEDULER | {"prediction_type": predicts})
    return SingleFile(
        Architecture(unet, vae, text, schedule),
        {FIRST: tokenizer},
        place,
        with_tables(tensors, parts, unet, vae, texts),
    )


def texts_of(file: Path) -> tuple[TextConfig, ...]:
    """Return the sizes of the text encoders of a Stable Diffusion in one file.

    Raises:
      UserError: The file is another model.
    """
    tensors = _read(file)
    if is_xl(tensors):
        return xl_texts(file, tensors)
    text = _parts(file, tensors)["text_encoder"]
    return (told(file, lambda: _text(text)),)


def is_single_file(tensors: Mapping[str, np.ndarray]) -> bool:
    """Return whether tensors are a Stable Diffusion's in the layout of web UIs, or of its kind."""
    heads = (*PREFIXES["unet"], HEAD, *_OTHERS)
    return any(key.startswith(heads) for key in tensors)


def _read(file: Path) -> Tensors:
    tensors = read_tensors(file)
    for key, model in _OTHERS.items():
        if any(name.startswith(key) for name in tensors):
            raise UserError(f"{shown(file)} is {model}: give a Stable Diffusion 1.x, 2.x or XL.")
    return tensors


def _parts(file: Path, tensors: Tensors) -> dict[str, Tensors]:
    parts: dict[str, Tensors] = {name: part_of(tensors, name) for name in PREFIXES}
    if not parts["unet"]:
        refuse_file(file)
    require_parts(file, parts)
    text = parts["text_encoder"]
    parts["text_encoder"] = with_text_model(text)
    if "text_projection" in text and "ln_final.weight" in text:
        # A whole tower of open_clip's. 2.x conditions on the states before its last block.
        last = f"transformer.resblocks.{count(text, 'transformer.resblocks.') - 1}."
        parts["text_encoder"] = {key: x for key, x in text.items() if not key.startswith(last)}
    return parts


def _is_second(text: Tensors) -> bool:
    """Return whether a text tower is that of 2.x, in open_clip's layout."""
    return "ln_final.weight" in text


def _text(tensors: Tensors) -> TextConfig:
    if _is_second(tensors):
        return replace(open_clip_sizes(tensors, "gelu"), pool="argmax")
    return text_sizes(tensors)


def _prediction(file: Path, asked: str | None, second: bool) -> str:
    """Return what a UNet predicts: as is said, or in 1.x noise."""
    if said := said_prediction(file, asked):
        return said
    if not second:
        return "epsilon"
    raise UserError(
        f"nothing in {shown(file)} says whether this Stable Diffusion 2.x predicts the noise, as "
        "those of 512 pixels do, or the velocity, as those of 768: put its YAML beside it as web "
        f"UIs want it ({file.with_suffix('.yaml').name}), or run `python -m common.convert FILE "
        "FOLDER --prediction=epsilon` (or v_prediction) and give the folder."
    )
