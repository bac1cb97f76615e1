"""Configurations as `open_clip_config.json` holds them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from common.clip.config import HEAD_WIDTH, CLIPConfig, ResNetConfig, TextConfig, ViTConfig
from common.clip.preprocess import MEAN, STD, Preprocess
from common.clip.processor import channels
from common.clip.text import require_causal
from common.records import REQUIRED, Record
from common.sizes import BOUNDS, opened, require, require_known, size

FILE = "open_clip_config.json"
_MLP_RATIO = 4.0
_STAGES = 4  # of a ModifiedResNet

# Of each section: fields that are read, those that do not affect the towers, and those that may
# only have some values. Whatever else a section holds is refused, unless it is null or false.
_MODEL = ("embed_dim", "vision_cfg", "text_cfg", "quick_gelu", "custom_text")
_MODEL_INERT = ("init_logit_scale", "nonscalar_logit_scale", "output_dict")
_VISION = ("image_size", "layers", "width", "patch_size", "head_width", "mlp_ratio")
_VISION_INERT = ("patch_dropout", "output_tokens")
_VISION_ALLOWED = {
    "act_kwargs": ({},),
    "norm_kwargs": ({},),
    "pool_type": ("tok",),
    "pos_embed_type": ("learnable",),
}
_TEXT = ("context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio")
_TEXT_INERT = ("output_tokens", "pad_id")
_TEXT_ALLOWED = {
    "act_kwargs": ({},),
    "norm_kwargs": ({},),
    "pool_type": ("argmax",),
    "proj_type": ("linear",),
}
_PREPROCESS = ("mean", "std", "size", "fill_color")
_SQUASH = "squash"
_PREPROCESS_ALLOWED = {"mode": ("RGB",), "resize_mode": ("shortest", _SQUASH)}

# Fields of models that are not CLIP's own, and what they are not.
_OTHER_MODELS = {
    "multimodal_cfg": "a field of CLIP, which lacks the text decoder of CoCa",
    "init_logit_bias": "a field of CLIP; SigLIP is read in Hugging Face's or big_vision's layout",
    "timm_model_name": "a field of CLIP's image towers; timm's, such as ConvNeXt, EVA, ViTamin and "
    "MobileCLIP, are not supported",
    "hf_model_name": "a field of CLIP's text tower; Hugging Face's, such as RoBERTa and mT5, are "
    "not supported",
    "hf_tokenizer_name": "a field of CLIP's text tower; of other tokenizers that of CLIPA alone is "
    "supported",
}


def clip_from_json(config: Mapping[str, Any] | Record) -> CLIPConfig:
    """Read the `model_cfg` of an open_clip model.

    Raises:
      UserError: An entry is missing, has a value that is not one of its kind, or asks for what
        CLIP's own towers lack (another text model, another pooling, a timm image tower).
    """
    model = opened(config, FILE).record("model_cfg")
    text, vision = model.record("text_cfg"), model.record("vision_cfg")
    for section in (model, vision, text):
        _refuse_others(section)
    require_known(model, (*_MODEL, *_MODEL_INERT))
    projection = size(model, "embed_dim", "width", REQUIRED)
    quick = model.boolean("quick_gelu", default=False)
    activation = "quick_gelu" if quick else "gelu"
    return CLIPConfig(
        _text(text, projection, activation),
        _vision(vision, projection, activation),
    )


def clip_to_json(config: CLIPConfig) -> dict[str, Any]:
    """Return what `clip_from_json` reads."""
    text, vision = config.text, config.vision
    require_causal(text, "open_clip's layout of CLIP")
    tower = _resnet_fields(vision) if isinstance(vision, ResNetConfig) else _vit_fields(vision)
    return {
        "model_cfg": {
            "embed_dim": vision.projection,
            "quick_gelu": text.activation == "quick_gelu",
            "vision_cfg": {"image_size": vision.image_size, "width": vision.width, **tower},
            "text_cfg": {
                "context_length": text.positions,
                "vocab_size": text.vocab_size,
                "width": text.width,
                "heads": text.heads,
                "layers": text.layers,
                "mlp_ratio": _mlp_ratio(text),
            },
        }
    }


def preprocess_from_json(
    config: Mapping[str, Any] | Record,
    image_size: int,
    interpolations: Sequence[str] = ("bicubic",),
) -> Preprocess:
    """Read the `preprocess_cfg`; what it leaves out has CLIP's own values.

    Args:
      config: The content of the file.
      image_size: That the tower takes.
      interpolations: Those that the family's files may name, keys of `RESAMPLING`.

    Raises:
      UserError: It asks for what CLIP's preprocessing does not do.
    """
    preprocess = opened(config, FILE).record("preprocess_cfg", default={})
    require(preprocess, _PREPROCESS_ALLOWED)
    # Nothing is filled up by these ways to resize, so the colour does not matter.
    require_known(preprocess, (*_PREPROCESS, *_PREPROCESS_ALLOWED, "interpolation"))
    if size(preprocess, "size", "image_size", image_size) != image_size:
        preprocess.refuse("size", f"the image tower's, {image_size}")
    squash = preprocess.content.get("resize_mode") == _SQUASH
    return Preprocess(
        image_size,
        channels(preprocess, "mean", MEAN),
        channels(preprocess, "std", STD, 1e-6),
        resize=(image_size, image_size) if squash else None,
        resample=preprocess.text("interpolation", tuple(interpolations), default="bicubic"),
    )


def preprocess_to_json(preprocess: Preprocess) -> dict[str, Any]:
    """Return what `preprocess_from_json` reads."""
    return {
        "preprocess_cfg": {
            "mean": list(preprocess.mean),
            "std": list(preprocess.std),
            "interpolation": preprocess.resample,
            "resize_mode": _SQUASH if isinstance(preprocess.resize, tuple) else "shortest",
        }
    }


def _refuse_others(section: Record) -> None:
    for name, kind in _OTHER_MODELS.items():
        if section.content.get(name) not in (None, False):
            section.refuse(name, kind)


def _text(text: Record, projection: int, activation: str) -> TextConfig:
    require(text, _TEXT_ALLOWED)
    require_known(text, (*_TEXT, *_TEXT_INERT, *_TEXT_ALLOWED))
    width = size(text, "width", "width", REQUIRED)
    heads = size(text, "heads", "heads", REQUIRED)
    if width % heads:
        text.refuse("heads", f"a divisor of the width {width}")
    words = size(text, "vocab_size", "vocab_size", REQUIRED)
    # open_clip pools at the largest id, which in its vocabulary is the end token.
    return TextConfig(
        vocab_size=words,
        width=width,
        layers=size(text, "layers", "layers", REQUIRED),
        heads=heads,
        mlp_width=_mlp_width(text, width),
        positions=size(text, "context_length", "positions", REQUIRED),
        activation=activation,
        projection=projection,
        bos=words - 2,
        eos=words - 1,
        pad=0,
        pool="eos",
    )


def _vision(vision: Record, projection: int, activation: str) -> ViTConfig | ResNetConfig:
    require(vision, _VISION_ALLOWED)
    require_known(vision, (*_VISION, *_VISION_INERT, *_VISION_ALLOWED))
    image_size = size(vision, "image_size", "image_size", REQUIRED)
    width = size(vision, "width", "width", REQUIRED)
    head_width = size(vision, "head_width", "width", HEAD_WIDTH)
    resnet = isinstance(vision.content.get("layers"), list)
    channels_out = width * 32 if resnet else width
    if channels_out % head_width:
        vision.refuse("head_width", f"a divisor of {channels_out} channels")
    if resnet:
        if image_size % 32:
            vision.refuse("image_size", "a multiple of 32")
        return ResNetConfig(
            image_size=image_size,
            layers=vision.integers("layers", _STAGES, *BOUNDS["blocks"]),
            width=width,
            heads=channels_out // head_width,
            projection=projection,
        )
    patch_size = size(vision, "patch_size", "patch_size", REQUIRED)
    if patch_size > image_size:
        vision.refuse("patch_size", f"a part of {image_size} pixels")
    return ViTConfig(
        image_size=image_size,
        patch_size=patch_size,
        width=width,
        layers=size(vision, "layers", "layers", REQUIRED),
        heads=channels_out // head_width,
        mlp_width=_mlp_width(vision, width),
        projection=projection,
        activation=activation,
    )


def _mlp_width(section: Record, width: int) -> int:
    low, high = (bound / width for bound in BOUNDS["mlp_width"])
    return int(width * section.number("mlp_ratio", low, high, default=_MLP_RATIO))


def _mlp_ratio(tower: TextConfig | ViTConfig) -> float:
    """Return the ratio that `_mlp_width` makes the MLP's width of: it rounds down."""
    ratio = tower.mlp_width / tower.width
    whole = int(tower.width * ratio) == tower.mlp_width
    return ratio if whole else math.nextafter(ratio, math.inf)


def _vit_fields(vision: ViTConfig) -> dict[str, Any]:
    return {
        "layers": vision.layers,
        "head_width": vision.width // vision.heads,
        "patch_size": vision.patch_size,
        "mlp_ratio": _mlp_ratio(vision),
    }


def _resnet_fields(vision: ResNetConfig) -> dict[str, Any]:
    return {"layers": list(vision.layers), "head_width": vision.width * 32 // vision.heads}
