"""A family of models: CLIP, but for the names in its files and a bidirectional text tower."""

from dataclasses import dataclass, replace

from common.clip import TextConfig, ViTConfig
from common.clip.families.hugging_face import HUGGING_FACE


@dataclass(frozen=True)
class ToyViTConfig(ViTConfig):
    """Of a family that differs in its files, and in how far its texts see."""


def to_clip(content):
    """Toy's configuration under CLIP's names."""
    return {**content, "model_type": "clip", "text_config": content["words"]}


def read_toy(record):
    clip = HUGGING_FACE.read_config(replace(record, content=to_clip(record.content)))
    text = replace(clip.text, causal=False)
    return replace(clip, text=text, vision=ToyViTConfig(**vars(clip.vision)))


def toy_files(config, preprocess):
    clip = HUGGING_FACE.files(replace(config, text=replace(config.text, causal=True)), preprocess)
    content = clip["config.json"]
    words = content.pop("text_config")
    return {**clip, "config.json": {**content, "model_type": "toy_clip", "words": words}}


TOY = replace(
    HUGGING_FACE,
    name="toy",
    claims=lambda content: content.get("model_type") == "toy_clip",
    read_config=read_toy,
    files=toy_files,
    configs=(TextConfig, ToyViTConfig),
    table=tuple(replace(rule, source=f"toy.{rule.source}") for rule in HUGGING_FACE.table),
    stem="toy",
    in_transformers=False,
    known={},
)
