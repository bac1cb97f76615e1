"""CLIP with a vision transformer as Hugging Face publishes it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from common.clip import hugging_face
from common.clip.config import CLIPConfig, TextConfig, ViTConfig
from common.clip.families.family import TOKENIZER_FILES, Family
from common.clip.processor import FILE as PREPROCESS_FILE
from common.clip.text import TextTower
from common.clip.vit import ViT
from common.files import read_record
from common.records import Record
from common.sizes import REMEDY
from common.weights.clip import HF_CLIP, HF_IGNORE

# Published configurations carry the legacy end token, hence "argmax" (see `hugging_face`).
TEXT_B = TextConfig(49408, 512, 12, 8, 2048, projection=512, pool="argmax")
TEXT_L = TextConfig(49408, 768, 12, 12, 3072, projection=768, pool="argmax")
_TEXT_H = TextConfig(49408, 1024, 24, 16, 4096, activation="gelu", projection=1024, pool="argmax")
_VIT_B = ViTConfig(224, 32, 768, 12, 12, 3072, projection=512)
_VIT_L = ViTConfig(224, 14, 1024, 24, 16, 4096, projection=768)
_VIT_H = ViTConfig(224, 14, 1280, 32, 16, 5120, projection=1024, activation="gelu")


def processor_of(directory: Path) -> Record | dict[str, Any]:
    """Return what a directory says of its preprocessing: nothing where it has no file for that."""
    file = directory / PREPROCESS_FILE
    return read_record(file, REMEDY) if file.exists() else {}


HUGGING_FACE = Family(
    name="CLIP",
    config_file=hugging_face.FILE,
    claims=lambda content: content.get("model_type") == "clip",
    read_config=hugging_face.clip_from_json,
    read_preprocess=lambda directory, _, size: hugging_face.preprocess_from_json(
        processor_of(directory), size
    ),
    files=lambda config, preprocess: {
        hugging_face.FILE: hugging_face.clip_to_json(config),
        PREPROCESS_FILE: hugging_face.preprocess_to_json(preprocess),
    },
    configs=(TextConfig, ViTConfig),
    text_tower=TextTower,
    image_tower=ViT,
    table=HF_CLIP,
    ignore=HF_IGNORE,
    stem="model",
    small_files=(PREPROCESS_FILE, *TOKENIZER_FILES),
    in_transformers=True,
    known={
        "openai/clip-vit-base-patch32": CLIPConfig(TEXT_B, _VIT_B),
        "openai/clip-vit-base-patch16": CLIPConfig(TEXT_B, replace(_VIT_B, patch_size=16)),
        "openai/clip-vit-large-patch14": CLIPConfig(TEXT_L, _VIT_L),
        "openai/clip-vit-large-patch14-336": CLIPConfig(TEXT_L, replace(_VIT_L, image_size=336)),
        "laion/CLIP-ViT-H-14-laion2B-s32B-b79K": CLIPConfig(_TEXT_H, _VIT_H),
    },
)
