"""SigLIP in big_vision's own file: what its shapes say, and where its tokenizer is published."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from common.clip.config import CLIPConfig
from common.clip.preprocess import Preprocess
from common.clip.siglip_files import HALF, siglip_config
from common.errors import UserError
from common.sizes import require_bounds
from common.text import shown

TOKENIZERS = {
    32_000: "google/siglip-base-patch16-224",
    250_000: "google/siglip-base-patch16-256-multilingual",
    256_000: "google/siglip2-base-patch16-224",
}
"""By the number of words, a model with the tokenizer."""

_GEMMA = 256_000
_MULTIPLE = 32  # the sides of SigLIP's images are multiples of it
_BLOCK = {"text": "txt/Encoder_0/encoderblock_", "vision": "img/Transformer/encoderblock_"}


def siglip_sizes(file: Path, tensors: Mapping[str, np.ndarray]) -> CLIPConfig:
    """Return the sizes of towers from the shapes of their weights.

    Raises:
      UserError: Tensors are missing, or of shapes that no SigLIP has.
    """
    try:
        words, _ = tensors["txt/Embed_0/embedding"].shape
        patch, _, _, _ = tensors["img/embedding/kernel"].shape
        _, cells, _ = tensors["img/pos_embedding"].shape
        _, positions, _ = tensors["txt/pos_embedding"].shape
        text = {"vocab_size": words, "positions": positions, **_blocks(tensors, "text")}
        side = image_side(patch, math.isqrt(cells))
        vision = {"image_size": side, "patch_size": patch, **_blocks(tensors, "vision")}
        config = siglip_config(text, vision)
        require_bounds(config.text, config.vision)
    except (KeyError, ValueError) as error:
        raise UserError(
            f"{shown(file)} is not a SigLIP whose sizes can be told from its weights ({error}): "
            "put the config.json of the model in Hugging Face's layout beside it."
        ) from error
    return config


def image_side(patch: int, patches: int) -> int:
    """Return the side of the images: the multiple of 32 that so many patches fit in, if any.

    Of 384 pixels, patches of 14 leave 6 over.
    """
    least = patch * patches
    multiple = -(-least // _MULTIPLE) * _MULTIPLE
    return multiple if multiple < least + patch else least


def siglip_preprocess(config: CLIPConfig) -> Preprocess:
    """Return the preprocessing that the model's vocabulary implies: SigLIP's or SigLIP 2's."""
    side = config.vision.image_size
    resample = "bilinear" if config.text.vocab_size == _GEMMA else "bicubic"
    return Preprocess(side, HALF, HALF, (side, side), resample)


def _blocks(tensors: Mapping[str, np.ndarray], tower: str) -> dict[str, int]:
    start = _BLOCK[tower]
    width, heads, _ = tensors[f"{start}0/MultiHeadDotProductAttention_0/query/kernel"].shape
    _, mlp_width = tensors[f"{start}0/MlpBlock_0/Dense_0/kernel"].shape
    numbers = {key.removeprefix(start).split("/")[0] for key in tensors if key.startswith(start)}
    return {"width": width, "layers": len(numbers), "heads": heads, "mlp_width": mlp_width}
