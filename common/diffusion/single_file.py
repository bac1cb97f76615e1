"""Stable Diffusion 1.x and 2.x in one file, as web UIs use them: sizes, and what no shape tells."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from common.clip.config import TextConfig
from common.clip.single_file import count, text_sizes, tokenizer_place
from common.clip.tokenizer import Tokenizer
from common.diffusion.architecture import Architecture
from common.diffusion.config import UNetConfig, VAEConfig
from common.diffusion.schedule import NoiseSchedule
from common.errors import UserError
from common.files import read_text
from common.text import shown
from common.weights.clip import HF_TEXT_TOWER, OPEN_CLIP_TEXT_TOWER
from common.weights.files import read_tensors
from common.weights.model_names import refuse_file
from common.weights.parts import Part
from common.weights.web_ui import IGNORE, PREFIXES, part_of, unet_table, vae_table

PREDICTIONS = ("epsilon", "v_prediction")
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
_HEADS, _HEAD_WIDTH = 8, 64  # for each level in 1.x, and of each head in 2.x
_SIDES = {"epsilon": 64, "v_prediction": 96}
"""Latents along a side, by what a UNet predicts: 512 and 768 pixels."""

# Keys of other models in the same layout, and what they are.
_OTHERS = {
    "conditioner.embedders.": "a Stable Diffusion XL",
    "text_encoders.": "a Stable Diffusion 3",
    "model.diffusion_model.joint_blocks.": "a Stable Diffusion 3",
    "model.diffusion_model.double_blocks.": "a FLUX",
    "control_model.": "a ControlNet",
}
_DOWN = {True: "CrossAttnDownBlock2D", False: "DownBlock2D"}
_UP = {True: "CrossAttnUpBlock2D", False: "UpBlock2D"}
_PARAMETERIZATION = re.compile(r"^\s*parameterization\s*:\s*[\"']?(\w+)", re.MULTILINE)


Sizes = TypeVar("Sizes")


@dataclass(frozen=True)
class SingleFile:
    """A Stable Diffusion in one file, but for the conversion of its weights.

    Attributes:
      architecture: Sizes from the shapes; the schedule is Stable Diffusion's own.
      tokenizer: CLIP's; padded with 0 in 2.x.
      place: Where the tokenizer was found, for errors.
      parts: The tensors and tables of "unet", "vae" and "text_encoder".
    """

    architecture: Architecture
    tokenizer: Tokenizer
    place: Path
    parts: Mapping[str, Part]


def open_single_file(file: Path, prediction: str | None = None) -> SingleFile:
    """Open a Stable Diffusion in one file.

    Args:
      file: Safetensors or a PyTorch archive, in the layout of web UIs.
      prediction: One of `PREDICTIONS`, where nothing else says what a UNet of 2.x predicts.

    Raises:
      UserError: The file is another model, or what it predicts is not known, or there is no
        tokenizer.
    """
    tensors = _parts(file)
    second = _is_second(tensors["text_encoder"])
    unet = _sizes(file, lambda: UNetConfig(**_unet(tensors["unet"], second)))
    vae = _sizes(file, lambda: _vae(tensors["vae"], second))
    text = _sizes(file, lambda: _text(tensors["text_encoder"], second))
    predicts = _prediction(file, prediction, second)
    if second:
        unet = replace(unet, sample_size=_SIDES[predicts])
    place = tokenizer_place(file)
    # With 0 as the text tower of 2.x was trained, whatever CLIP's own files say.
    tokenizer = Tokenizer.from_directory(place, pad=0 if second else None)
    attends = [kind == "CrossAttnUpBlock2D" for kind in unet.up_block_types]
    tables = {
        "unet": unet_table(unet.layers_per_block, attends, unet.use_linear_projection),
        "vae": vae_table(len(vae.block_out_channels)),
        "text_encoder": OPEN_CLIP_TEXT_TOWER if second else HF_TEXT_TOWER,
    }
    parts = {name: Part(name, x, tables[name], IGNORE[name]) for name, x in tensors.items()}
    schedule = NoiseSchedule.from_dict(_SCHEDULER | {"prediction_type": predicts})
    return SingleFile(Architecture(unet, vae, text, schedule), tokenizer, place, parts)


def text_sizes_of(file: Path) -> TextConfig:
    """Return the sizes of the text tower of a Stable Diffusion in one file.

    Raises:
      UserError: The file is another model.
    """
    text = _parts(file)["text_encoder"]
    return _sizes(file, lambda: _text(text, _is_second(text)))


def is_single_file(tensors: Mapping[str, np.ndarray]) -> bool:
    """Return whether tensors are a Stable Diffusion's in the layout of web UIs, or of its kind."""
    heads = (*PREFIXES["unet"], *_OTHERS)
    return any(key.startswith(heads) for key in tensors)


def _is_second(text: Mapping[str, np.ndarray]) -> bool:
    """Return whether a text tower is that of 2.x, in open_clip's layout."""
    return "ln_final.weight" in text


def _sizes(file: Path, read: Callable[[], Sizes]) -> Sizes:
    try:
        return read()
    except (LookupError, ValueError, ArithmeticError) as error:
        raise UserError(
            f"{shown(file)} is not a Stable Diffusion 1.x or 2.x whose sizes can be told from its "
            f"weights ({error})."
        ) from error


def _parts(file: Path) -> dict[str, dict[str, np.ndarray]]:
    tensors = read_tensors(file)
    for key, model in _OTHERS.items():
        if any(name.startswith(key) for name in tensors):
            raise UserError(f"{shown(file)} is {model}: give a Stable Diffusion 1.x or 2.x.")
    parts = {name: part_of(tensors, name) for name in PREFIXES}
    if not parts["unet"]:
        refuse_file(file)
    if absent := [name for name, part in parts.items() if not part]:
        raise UserError(
            f"{shown(file)} lacks its {' and its '.join(absent)}: give the whole model, not a "
            "pruned one."
        )
    text = parts["text_encoder"]
    if "embeddings.token_embedding.weight" in text:  # As some tools write it.
        parts["text_encoder"] = {f"text_model.{key}": x for key, x in text.items()}
    if "text_projection" in text and "ln_final.weight" in text:
        # A whole tower of open_clip's. 2.x conditions on the states before its last block.
        last = f"transformer.resblocks.{count(text, 'transformer.resblocks.') - 1}."
        parts["text_encoder"] = {key: x for key, x in text.items() if not key.startswith(last)}
    return parts


def _prediction(file: Path, asked: str | None, second: bool) -> str:
    """Return what a UNet predicts: as the YAML beside it says, or as was asked, or in 1.x noise."""
    config = file.with_suffix(".yaml")
    if config.is_file():
        parameterization = _PARAMETERIZATION.search(read_text(config))
        return "v_prediction" if parameterization and parameterization[1] == "v" else "epsilon"
    if asked in PREDICTIONS:
        return asked
    if not second:
        return "epsilon"
    raise UserError(
        f"nothing in {shown(file)} says whether this Stable Diffusion 2.x predicts the noise, as "
        "those of 512 pixels do, or the velocity, as those of 768: put its YAML beside it as web "
        f"UIs want it ({config.name}), or run `python -m common.convert FILE FOLDER "
        "--prediction=epsilon` (or v_prediction) and give the folder."
    )


def _unet(tensors: Mapping[str, np.ndarray], second: bool) -> dict[str, Any]:
    """Return the fields of `UNetConfig` that the shapes tell."""
    channels, down, layers = [], [], []
    for block in range(1, count(tensors, "input_blocks.")):
        name = f"input_blocks.{block}"
        if f"{name}.0.op.weight" in tensors:
            continue
        if block == 1 or f"input_blocks.{block - 1}.0.op.weight" in tensors:
            channels.append(tensors[f"{name}.0.out_layers.3.weight"].shape[0])
            down.append(f"{name}.1.proj_in.weight" in tensors)
            layers.append(0)
        layers[-1] += 1
    per_level = layers[0]
    up = [
        f"output_blocks.{level * (per_level + 1)}.1.proj_in.weight" in tensors
        for level in range(len(channels))
    ]
    transformer = "middle_block.1"
    attended = f"{transformer}.transformer_blocks.0.attn2.to_k.weight"
    return {
        "in_channels": tensors["input_blocks.0.0.weight"].shape[1],
        "out_channels": tensors["out.2.weight"].shape[0],
        "block_out_channels": tuple(channels),
        "down_block_types": tuple(_DOWN[attention] for attention in down),
        "up_block_types": tuple(_UP[attention] for attention in up),
        "layers_per_block": per_level,
        "attention_head_dim": tuple(c // _HEAD_WIDTH for c in channels) if second else _HEADS,
        "cross_attention_dim": tensors[attended].shape[1],
        "use_linear_projection": tensors[f"{transformer}.proj_in.weight"].ndim == 2,
    }


def _vae(tensors: Mapping[str, np.ndarray], second: bool) -> VAEConfig:
    levels = count(tensors, "encoder.down.")
    return VAEConfig(
        sample_size=768 if second else 512,
        in_channels=tensors["encoder.conv_in.weight"].shape[1],
        out_channels=tensors["decoder.conv_out.weight"].shape[0],
        block_out_channels=tuple(
            tensors[f"encoder.down.{i}.block.0.conv1.weight"].shape[0] for i in range(levels)
        ),
        layers_per_block=count(tensors, "encoder.down.0.block."),
        latent_channels=tensors["decoder.conv_in.weight"].shape[1],
    )


def _text(tensors: Mapping[str, np.ndarray], second: bool) -> TextConfig:
    if second:
        return replace(text_sizes(tensors, "gelu"), pool="argmax")
    embeddings, blocks = "text_model.embeddings", "text_model.encoder.layers."
    words, width = tensors[f"{embeddings}.token_embedding.weight"].shape
    return TextConfig(
        vocab_size=words,
        width=width,
        layers=count(tensors, blocks),
        heads=width // _HEAD_WIDTH,
        mlp_width=tensors[f"{blocks}0.mlp.fc1.weight"].shape[0],
        positions=tensors[f"{embeddings}.position_embedding.weight"].shape[0],
        bos=words - 2,
        eos=words - 1,
        pad=words - 1,
        pool="argmax",
    )
