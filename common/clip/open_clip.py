"""Configurations as `open_clip_config.json` holds them."""

from collections.abc import Mapping
from typing import Any

from common.clip.config import CLIPConfig, ResNetConfig, TextConfig, ViTConfig
from common.clip.preprocess import MEAN, STD, Preprocess
from common.clip.processor import channels
from common.clip.text import require_causal
from common.records import REQUIRED, Record
from common.sizes import BOUNDS, opened, require, require_known, size

FILE = "open_clip_config.json"
_HEAD_WIDTH = 64
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
_PREPROCESS_ALLOWED = {
    "interpolation": ("bicubic",),
    "mode": ("RGB",),
    "resize_mode": ("shortest",),
}


def clip_from_json(config: Mapping[str, Any] | Record) -> CLIPConfig:
    """Read the `model_cfg` of an open_clip model.

    Raises:
      UserError: An entry is missing, has a value that is not one of its kind, or asks for what
        CLIP's own towers lack (another text model, another pooling, a timm image tower).
    """
    model = opened(config, FILE).record("model_cfg")
    require_known(model, (*_MODEL, *_MODEL_INERT))
    projection = size(model, "embed_dim", "width", REQUIRED)
    quick = model.boolean("quick_gelu", default=False)
    activation = "quick_gelu" if quick else "gelu"
    return CLIPConfig(
        _text(model.record("text_cfg"), projection, activation),
        _vision(model.record("vision_cfg"), projection, activation),
    )


def clip_to_json(config: CLIPConfig) -> dict[str, Any]:
    """Return what `clip_from_json` reads, for a model with a ModifiedResNet."""
    text, vision = config.text, config.vision
    require_causal(text, "open_clip's layout of CLIP")
    return {
        "model_cfg": {
            "embed_dim": vision.projection,
            "quick_gelu": text.activation == "quick_gelu",
            "vision_cfg": {
                "image_size": vision.image_size,
                "layers": list(vision.layers),
                "width": vision.width,
                "head_width": vision.width * 32 // vision.heads,
            },
            "text_cfg": {
                "context_length": text.positions,
                "vocab_size": text.vocab_size,
                "width": text.width,
                "heads": text.heads,
                "layers": text.layers,
                "mlp_ratio": text.mlp_width / text.width,
            },
        }
    }


def preprocess_from_json(config: Mapping[str, Any] | Record, image_size: int) -> Preprocess:
    """Read the `preprocess_cfg`; what it leaves out has CLIP's own values.

    Raises:
      UserError: It asks for what CLIP's preprocessing does not do.
    """
    preprocess = opened(config, FILE).record("preprocess_cfg", default={})
    require(preprocess, _PREPROCESS_ALLOWED)
    # Nothing is filled up where the shorter side is resized, so the colour does not matter.
    require_known(preprocess, (*_PREPROCESS, *_PREPROCESS_ALLOWED))
    if size(preprocess, "size", "image_size", image_size) != image_size:
        preprocess.refuse("size", f"the image tower's, {image_size}")
    return Preprocess(
        image_size, channels(preprocess, "mean", MEAN), channels(preprocess, "std", STD, 1e-6)
    )


def preprocess_to_json(preprocess: Preprocess) -> dict[str, Any]:
    """Return what `preprocess_from_json` reads."""
    return {
        "preprocess_cfg": {
            "mean": list(preprocess.mean),
            "std": list(preprocess.std),
            "interpolation": "bicubic",
            "resize_mode": "shortest",
        }
    }


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
    head_width = size(vision, "head_width", "width", _HEAD_WIDTH)
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
