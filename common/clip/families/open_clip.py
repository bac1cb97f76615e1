"""CLIP as open_clip publishes it, with a vision transformer or with a ResNet."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from common.clip import open_clip
from common.clip.config import ResNetConfig, TextConfig, ViTConfig
from common.clip.families.family import Family
from common.clip.families.published import RESNETS
from common.clip.resnet import ModifiedResNet
from common.clip.text import TextTower
from common.clip.vit import ViT
from common.weights import clip as tables


def _has_resnet(content: Mapping[str, Any]) -> bool:
    model = content.get("model_cfg")
    vision = model.get("vision_cfg") if isinstance(model, Mapping) else None
    return isinstance(vision, Mapping) and isinstance(vision.get("layers"), list)


RESNET = Family(
    name="CLIP with a ResNet",
    config_file=open_clip.FILE,
    claims=_has_resnet,
    read_config=open_clip.clip_from_json,
    read_preprocess=lambda _, config, size: open_clip.preprocess_from_json(config, size),
    files=lambda config, preprocess: {
        open_clip.FILE: open_clip.clip_to_json(config) | open_clip.preprocess_to_json(preprocess)
    },
    configs=(TextConfig, ResNetConfig),
    text_tower=TextTower,
    image_tower=ModifiedResNet,
    table=tables.OPEN_CLIP_RESNET,
    ignore=tables.OPEN_CLIP_IGNORE,
    stem="open_clip_model",
    known=RESNETS,
)
VIT = replace(
    RESNET,
    name="CLIP",
    claims=lambda content: not _has_resnet(content),
    configs=(TextConfig, ViTConfig),
    image_tower=ViT,
    table=tables.OPEN_CLIP_VIT,
    resampling="smoothed_bicubic",
    known={},
)
