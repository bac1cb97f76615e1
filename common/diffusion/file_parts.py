"""What reading of a Stable Diffusion in one file shares between 1.x, 2.x and XL."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from common.clip.tokenizer import Tokenizer
from common.diffusion.architecture import Architecture
from common.diffusion.config import UNetConfig, VAEConfig
from common.diffusion.text_encoder import TextPart
from common.errors import UserError
from common.files import read_text
from common.text import shown
from common.weights.parts import Part
from common.weights.rules import Rule
from common.weights.table import Table
from common.weights.web_ui import IGNORE, unet_table, vae_table

PREDICTIONS = ("epsilon", "v_prediction")
_PARAMETERIZATION = re.compile(r"^\s*parameterization\s*:\s*[\"']?(\w+)", re.MULTILINE)
_SCALING = re.compile(r"^\s*target\s*:\s*[\"']?[\w.]*denoiser_scaling\.(\w+)", re.MULTILINE)
# Of XL: what stands there in place of `parameterization`.
_SCALINGS = {"EpsScaling": "epsilon", "VScaling": "v_prediction"}

REST = "rest"
"""What a file holds beside the parts: running means of training, a block that no model reads."""

Sizes = TypeVar("Sizes")
Tensors = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class SingleFile:
    """A Stable Diffusion in one file, but for the conversion of its weights.

    Attributes:
      architecture: Sizes from the shapes; the schedule is Stable Diffusion's own.
      tokenizers: CLIP's; padded with 0 in 2.x and for XL's second text encoder.
      place: Where the tokenizer was found, for errors.
      parts: The tensors and tables of "unet", "vae" and of the text encoders by their folders; and
        `REST`, which is not read.
    """

    architecture: Architecture
    tokenizers: Mapping[TextPart, Tokenizer]
    place: Path
    parts: Mapping[str, Part]


def told(file: Path, read: Callable[[], Sizes]) -> Sizes:
    """Return what `read` finds in shapes.

    Raises:
      UserError: The shapes are not those of such a model.
    """
    try:
        return read()
    except (LookupError, ValueError, ArithmeticError) as error:
        raise UserError(
            f"{shown(file)} is not a Stable Diffusion 1.x, 2.x or XL whose sizes can be told from "
            f"its weights ({error})."
        ) from error


def require_parts(file: Path, parts: Mapping[str, Tensors], what: str = "") -> None:
    """Refuse a file that lacks a part; `what` says which model it is.

    Raises:
      UserError: It names the parts.
    """
    if absent := [name for name, part in parts.items() if not part]:
        raise UserError(
            f"{shown(file)} {what}lacks its {' and its '.join(absent)}: give the whole model, not "
            "a pruned one."
        )


def with_tables(
    whole: Tensors,
    tensors: Mapping[str, Tensors],
    unet: UNetConfig,
    vae: VAEConfig,
    texts: Mapping[str, Sequence[Rule]],
) -> dict[str, Part]:
    """Return the parts of a file with their tables.

    Args:
      whole: All tensors of the file.
      tensors: Those of each part.
      unet, vae: Their sizes.
      texts: The tables of the text encoders.
    """
    attends = [kind == "CrossAttnUpBlock2D" for kind in unet.up_block_types]
    tables: dict[str, Table] = {
        "unet": unet_table(unet.layers_per_block, attends, unet.use_linear_projection),
        "vae": vae_table(len(vae.block_out_channels)),
        **texts,
    }
    read = {id(x) for part in tensors.values() for x in part.values()}
    rest = {key: x for key, x in whole.items() if id(x) not in read}
    parts = {name: Part(name, x, tables[name], IGNORE[name]) for name, x in tensors.items()}
    return parts | ({REST: Part(REST, rest, (), ("*",))} if rest else {})


def said_prediction(file: Path, asked: str | None) -> str | None:
    """Return what a UNet predicts, as the YAML beside it says or as was asked; None: neither.

    Raises:
      UserError: The YAML scales the noise in another way.
    """
    config = file.with_suffix(".yaml")
    if not config.is_file():
        return asked if asked in PREDICTIONS else None
    text = read_text(config)
    if scaling := _SCALING.search(text):
        if scaling[1] not in _SCALINGS:
            raise UserError(
                f"{scaling[1]} in {shown(config)} is not one of {', '.join(_SCALINGS)}, as in "
                "Stable Diffusion XL: give such a model."
            )
        return _SCALINGS[scaling[1]]
    parameterization = _PARAMETERIZATION.search(text)
    return "v_prediction" if parameterization and parameterization[1] == "v" else "epsilon"
