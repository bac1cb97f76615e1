"""CLIP in Flax: towers, tokenizer, preprocessing, and loading in the published layouts."""

from common.lazy import lazily

__all__, __getattr__, __dir__ = lazily(
    __name__,
    {
        "common.clip.checkpoint": (
            "load_clip",
            "load_text_tower",
            "save_clip",
            "save_text_tower",
        ),
        "common.clip.config": (
            "CLIPConfig",
            "ResNetConfig",
            "TextConfig",
            "ViTConfig",
        ),
        "common.clip.encode": (
            "encode_image",
            "encode_text",
        ),
        "common.clip.layers": ("Block",),
        "common.clip.model": ("CLIP",),
        "common.clip.outputs": ("ImageOutput",),
        "common.clip.predictions": ("Predictions",),
        "common.clip.preprocess": ("Preprocess",),
        "common.clip.resnet": ("ModifiedResNet",),
        "common.clip.text": (
            "TextOutput",
            "TextTower",
            "pool_positions",
        ),
        "common.clip.tokenizer": ("Tokenizer",),
        "common.clip.vit": ("ViT",),
    },
)
