"""Configurations as `open_clip_config.json` holds them."""

from collections.abc import Mapping
from typing import Any

from common.clip.config import CLIPConfig, ResNetConfig, TextConfig, ViTConfig
from common.clip.preprocess import MEAN, STD, Preprocess
from common.errors import UserError

_HEAD_WIDTH = 64
_MLP_RATIO = 4.0
_MODEL = {"embed_dim", "vision_cfg", "text_cfg", "quick_gelu"}
_VISION = {"image_size", "layers", "width", "patch_size", "head_width", "mlp_ratio"}
_TEXT = {"context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio"}


def clip_from_json(config: Mapping[str, Any]) -> CLIPConfig:
    """Reads the `model_cfg` of an open_clip model.

    Raises:
      UserError: An entry is missing, or asks for what CLIP's own towers lack (another text
        model, another pooling, a timm image tower).
    """
    try:
        model = _only(config["model_cfg"], _MODEL)
        text = _only(model["text_cfg"], _TEXT)
        vision = _only(model["vision_cfg"], _VISION)
        projection = model["embed_dim"]
        activation = "quick_gelu" if model.get("quick_gelu") else "gelu"
        return CLIPConfig(
            _text(text, projection, activation), _vision(vision, projection, activation)
        )
    except KeyError as error:
        raise UserError(f"open_clip_config.json lacks the entry {error}.") from error


def clip_to_json(config: CLIPConfig) -> dict[str, Any]:
    """Inverse of `clip_from_json` for a model with a ModifiedResNet."""
    text, vision = config.text, config.vision
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


def preprocess_from_json(config: Mapping[str, Any], size: int) -> Preprocess:
    """Reads the `preprocess_cfg`; what it leaves out has CLIP's own values.

    Raises:
      UserError: It asks for another way of resizing.
    """
    preprocess = config.get("preprocess_cfg", {})
    for name, only in (("interpolation", "bicubic"), ("resize_mode", "shortest")):
        if preprocess.get(name, only) != only:
            raise UserError(
                f"open_clip_config.json asks for the {name} {preprocess[name]!r}; CLIP's own "
                f"is {only!r}."
            )
    mean, std = preprocess.get("mean", MEAN), preprocess.get("std", STD)
    return Preprocess(size, tuple(mean), tuple(std))


def preprocess_to_json(preprocess: Preprocess) -> dict[str, Any]:
    """Inverse of `preprocess_from_json`."""
    return {
        "preprocess_cfg": {
            "mean": list(preprocess.mean),
            "std": list(preprocess.std),
            "interpolation": "bicubic",
            "resize_mode": "shortest",
        }
    }


def _text(text: Mapping[str, Any], projection: int, activation: str) -> TextConfig:
    # open_clip pools at the largest id, which in its vocabulary is the end token.
    return TextConfig(
        vocab_size=text["vocab_size"],
        width=text["width"],
        layers=text["layers"],
        heads=text["heads"],
        mlp_width=int(text["width"] * text.get("mlp_ratio", _MLP_RATIO)),
        positions=text["context_length"],
        activation=activation,
        projection=projection,
        bos=text["vocab_size"] - 2,
        eos=text["vocab_size"] - 1,
        pad=0,
        pool="eos",
    )


def _vision(
    vision: Mapping[str, Any], projection: int, activation: str
) -> ViTConfig | ResNetConfig:
    width = vision["width"]
    head_width = vision.get("head_width", _HEAD_WIDTH)
    if isinstance(vision["layers"], list):
        return ResNetConfig(
            image_size=vision["image_size"],
            layers=tuple(vision["layers"]),
            width=width,
            heads=width * 32 // head_width,
            projection=projection,
        )
    return ViTConfig(
        image_size=vision["image_size"],
        patch_size=vision["patch_size"],
        width=width,
        layers=vision["layers"],
        heads=width // head_width,
        mlp_width=int(width * vision.get("mlp_ratio", _MLP_RATIO)),
        projection=projection,
        activation=activation,
    )


def _only(section: Mapping[str, Any], known: set[str]) -> Mapping[str, Any]:
    if unknown := {key for key in set(section) - known if section[key] not in (None, False)}:
        raise UserError(
            f"open_clip_config.json asks for {', '.join(sorted(unknown))}, which CLIP's own "
            "towers do not have."
        )
    return section
