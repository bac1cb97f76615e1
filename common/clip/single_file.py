"""CLIP in one file: OpenAI's `.pt`, open_clip's `epoch_N.pt`, big_vision's `.npz`, or a folder's.

Shapes say the sizes. The tokenizer is the one beside the file, or else that of a model of the hub.
"""

import math
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.clip.big_vision import TOKENIZERS, siglip_preprocess, siglip_sizes
from common.clip.config import HEAD_WIDTH, CLIPConfig, ResNetConfig, TextConfig, ViTConfig
from common.clip.families import Family, clipa, hugging_face, open_clip, siglip
from common.clip.families.family import TOKENIZER_FILES
from common.clip.layers import ACTIVATIONS
from common.clip.preprocess import Preprocess
from common.clip.tokenizer import Tokenizer
from common.errors import UserError
from common.files import read_json, read_record
from common.sizes import REMEDY, require_bounds
from common.text import shown
from common.weights.files import TORCH_SUFFIXES, read_tensors
from common.weights.model_names import refuse_file
from common.weights.resolve import resolve

TOKENIZER = "openai/clip-vit-large-patch14"
"""A model with CLIP's tokenizer, which is one for all of OpenAI's and most of open_clip's."""

# A key that files of this family hold, and none of those further down.
_MARKS: Mapping[str, Family] = {
    "visual_projection.weight": hugging_face.HUGGING_FACE,
    "vision_model.head.probe": siglip.SIGLIP,
    "img/MAPHead_0/probe": siglip.BIG_VISION,
    "visual.ln_pre.weight": open_clip.VIT,
    "visual.proj": clipa.CLIPA,
    "visual.attnpool.positional_embedding": open_clip.RESNET,
}
_OPENAI = "input_resolution"
"""A key that only OpenAI's own state dicts hold."""
# Of image towers: by their width, of those of open_clip's that are different.
_HEAD_WIDTHS = {1280: 80, 1408: 88, 1664: 104}


@dataclass(frozen=True)
class OpenedCLIP:
    """A CLIP whose files are found, and read but for its weights.

    Attributes:
      config: Its sizes.
      family: Whose layout the tensors have.
      preprocess: What its image tower takes.
      tokenizer: What its text tower takes.
      tensors: Reads them, by source key.
      place: Where the tokenizer was found, for errors.
    """

    config: CLIPConfig
    family: Family
    preprocess: Preprocess
    tokenizer: Tokenizer
    tensors: Callable[[], Mapping[str, np.ndarray]]
    place: Path


def open_clip_file(file: Path, activation: str | None = None) -> OpenedCLIP:
    """Open a CLIP in one file.

    Args:
      file: Safetensors, a PyTorch archive, TorchScript or npz. A configuration beside it is
        followed.
      activation: Of the towers, a key of `ACTIVATIONS`, where nothing else says it.

    Raises:
      UserError: The file is not a CLIP, its activation is not known, or there is no tokenizer.
    """
    tensors = _tensors(file)
    family = next((_MARKS[mark] for mark in _MARKS if mark in tensors), None)
    if family is None:
        refuse_file(file)
    folder = file.parent
    config_file = folder / family.config_file
    if config_file.is_file() and family.claims(read_json(config_file)):
        record = read_record(config_file, REMEDY)
        config = family.read_config(record)
        preprocess = family.read_preprocess(folder, record, config.vision.image_size)
    elif family in (hugging_face.HUGGING_FACE, siglip.SIGLIP, clipa.CLIPA):
        refuse_file(file)
    elif family is siglip.BIG_VISION:
        config = siglip_sizes(file, tensors)
        preprocess = siglip_preprocess(config)
    else:
        config = sizes(file, tensors, _activation(file, tensors, activation))
        preprocess = Preprocess(config.vision.image_size)
    usual = TOKENIZERS.get(config.text.vocab_size, TOKENIZER)
    place = tokenizer_place(file, family, family.tokenizer_source or usual)
    tokenizer = family.read_tokenizer(place)
    return OpenedCLIP(config, family, preprocess, tokenizer, lambda: tensors, place)


def tokenizer_place(
    file: Path, family: Family = hugging_face.HUGGING_FACE, source: str = TOKENIZER
) -> Path:
    """Return the folder of the tokenizer of a model in one file: its own, or another model's.

    Args:
      file: The model's.
      family: Whose tokenizers are looked for.
      source: A model of the hub with the same tokenizer.

    Raises:
      UserError: There is none beside the file, and the hub did not give one.
    """
    for folder in (file.parent / "tokenizer", file.parent):
        if family.has_tokenizer(folder):
            return folder
    try:
        return resolve(source, TOKENIZER_FILES)
    except UserError as error:
        names = " ".join(TOKENIZER_FILES[: 4 if source == TOKENIZER else 2])
        raise UserError(
            f"{shown(file)} holds no tokenizer, there is none beside it, and the hub did not give "
            f"one: on a machine with a network run `hf download {source} {names} --local-dir "
            "DIR`, and copy the files of DIR to where the model's file is."
        ) from error


def sizes(file: Path, tensors: Mapping[str, np.ndarray], activation: str) -> CLIPConfig:
    """Return the sizes of towers in OpenAI's layout, from the shapes of their weights.

    Raises:
      UserError: Tensors are missing, or of shapes that no CLIP has.
    """
    try:
        projection = tensors["text_projection"].shape[1]
        vision: ViTConfig | ResNetConfig
        if "visual.proj" in tensors:
            vision = _vit(tensors, projection, activation)
        else:
            vision = _resnet(tensors, projection)
        text = text_sizes(tensors, activation, projection)
        require_bounds(text, vision)
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
        raise UserError(
            f"{shown(file)} is not a CLIP whose sizes can be told from its weights ({error}): put "
            f"its {open_clip.VIT.config_file} beside it."
        ) from error
    return CLIPConfig(text, vision)


def text_sizes(
    tensors: Mapping[str, np.ndarray], activation: str, projection: int | None = None
) -> TextConfig:
    """Return the sizes of a text tower in OpenAI's layout."""
    words, width = tensors["token_embedding.weight"].shape
    return TextConfig(
        vocab_size=words,
        width=width,
        layers=count(tensors, "transformer.resblocks."),
        heads=_heads(width, HEAD_WIDTH),
        mlp_width=tensors["transformer.resblocks.0.mlp.c_fc.weight"].shape[0],
        positions=tensors["positional_embedding"].shape[0],
        activation=activation,
        projection=projection,
        bos=words - 2,
        eos=words - 1,
        pad=0,
    )


def count(keys: Iterable[str], prefix: str) -> int:
    """Return how many members of a list there are under a prefix."""
    member = re.compile(rf"{re.escape(prefix)}(\d{{1,4}})\.")
    return len({match[1] for key in keys if (match := member.match(key))})


def _tensors(file: Path) -> Mapping[str, np.ndarray]:
    if file.suffix in TORCH_SUFFIXES and not zipfile.is_zipfile(file):
        refuse_file(file)
    return read_tensors(file)


def _activation(file: Path, tensors: Mapping[str, np.ndarray], asked: str | None) -> str:
    if _OPENAI in tensors:
        return "quick_gelu"
    if asked in ACTIVATIONS:
        return asked
    raise UserError(
        f"nothing in {shown(file)} says whether its towers compute gelu, as open_clip's do, or "
        "quick_gelu, as OpenAI's and what was tuned from them: put the model's "
        f"{open_clip.VIT.config_file} beside it, or run `python -m common.convert FILE FOLDER "
        "--activation=gelu` (or quick_gelu) and give the folder."
    )


def _vit(tensors: Mapping[str, np.ndarray], projection: int, activation: str) -> ViTConfig:
    width, _, _, patch = tensors["visual.conv1.weight"].shape
    cells, _ = tensors["visual.positional_embedding"].shape
    blocks = "visual.transformer.resblocks."
    return ViTConfig(
        image_size=patch * math.isqrt(cells - 1),
        patch_size=patch,
        width=width,
        layers=count(tensors, blocks),
        heads=_heads(width, _HEAD_WIDTHS.get(width, HEAD_WIDTH)),
        mlp_width=tensors[f"{blocks}0.mlp.c_fc.weight"].shape[0],
        projection=projection,
        activation=activation,
    )


def _resnet(tensors: Mapping[str, np.ndarray], projection: int) -> ResNetConfig:
    width = tensors["visual.layer1.0.conv1.weight"].shape[0]
    cells, _ = tensors["visual.attnpool.positional_embedding"].shape
    one, two, three, four = (count(tensors, f"visual.layer{i}.") for i in range(1, 5))
    return ResNetConfig(
        image_size=32 * math.isqrt(cells - 1),
        layers=(one, two, three, four),
        width=width,
        heads=_heads(32 * width, HEAD_WIDTH),
        projection=projection,
    )


def _heads(width: int, head_width: int) -> int:
    if width % head_width:
        raise ValueError(f"a width of {width} has no whole number of heads")
    return width // head_width
