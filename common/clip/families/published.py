"""Sizes of the published CLIPs, by their hub ids."""

from collections.abc import Mapping
from dataclasses import replace

from common.clip.clipa_files import clipa_config
from common.clip.config import CLIPConfig, ResNetConfig, TextConfig, ViTConfig
from common.clip.metaclip2_files import metaclip2_config

# Width (and that of the space shared with images), blocks and heads of the text towers.
_TEXTS = {"B": (512, 12, 8), "B+": (640, 12, 10), "L": (768, 12, 12), "H": (1024, 24, 16)}
_TEXTS |= {"g": _TEXTS["H"], "bigG": (1280, 32, 20)}
# Width, blocks, heads and width of the MLP of the image towers.
_VISIONS = {
    "B": (768, 12, 12, 3072),
    "B+": (896, 12, 14, 3584),
    "L": (1024, 24, 16, 4096),
    "H": (1280, 32, 16, 5120),
    "g": (1408, 40, 16, 6144),
    "bigG": (1664, 48, 16, 8192),
}


def _clip(model: str, patch: int, image: int = 224, activation: str = "gelu") -> CLIPConfig:
    """Return the sizes of a CLIP by the name of its sizes, such as "bigG"."""
    width, layers, heads = _TEXTS[model]
    # Hugging Face's configurations carry the legacy end token, hence "argmax".
    usual = {"activation": activation, "pool": "argmax", "projection": width}
    text = TextConfig(49408, width, layers, heads, 4 * width, **usual)
    wide, *others = _VISIONS[model]
    vision = ViTConfig(image, patch, wide, *others, projection=width, activation=activation)
    return CLIPConfig(text, vision)


def _quick(model: str, patch: int, image: int = 224) -> CLIPConfig:
    """Return sizes like `_clip`'s, of a model trained with OpenAI's activation."""
    return _clip(model, patch, image, "quick_gelu")


def _clipa(model: str, image: int) -> CLIPConfig:
    clip = _clip(model, 14, image)
    return clipa_config(replace(clip.text, vocab_size=32_000, positions=32), clip.vision)


def _worldwide(clip: CLIPConfig) -> CLIPConfig:
    return metaclip2_config(replace(clip, text=replace(clip.text, vocab_size=901_629)))


def _resnet(
    width: int, layers: tuple[int, int, int, int], image: int, joint: int, text: int
) -> CLIPConfig:
    words = TextConfig(49408, text, 12, text // 64, 4 * text, projection=joint, pool="argmax")
    return CLIPConfig(words, ResNetConfig(image, layers, width, width // 2, projection=joint))


_POOLS = ("", ".clip", ".laion", ".image", ".text", ".basic")  # of CommonPool, by their filter

VITS: Mapping[str, CLIPConfig] = {
    "openai/clip-vit-base-patch32": _quick("B", 32),
    "openai/clip-vit-base-patch16": _quick("B", 16),
    "openai/clip-vit-large-patch14": _quick("L", 14),
    "openai/clip-vit-large-patch14-336": _quick("L", 14, 336),
    # LAION-2B.
    "laion/CLIP-ViT-B-32-laion2B-s34B-b79K": _clip("B", 32),
    "laion/CLIP-ViT-B-16-laion2B-s34B-b88K": _clip("B", 16),
    "laion/CLIP-ViT-L-14-laion2B-s32B-b82K": _clip("L", 14),
    "laion/CLIP-ViT-H-14-laion2B-s32B-b79K": _clip("H", 14),
    "laion/CLIP-ViT-g-14-laion2B-s12B-b42K": _clip("g", 14),
    "laion/CLIP-ViT-g-14-laion2B-s34B-b88K": _clip("g", 14),
    "laion/CLIP-ViT-bigG-14-laion2B-39B-b160k": _clip("bigG", 14),
    # LAION-400M.
    "timm/vit_base_patch32_clip_224.laion400m_e32": _quick("B", 32),
    "timm/vit_base_patch16_clip_224.laion400m_e32": _clip("B", 16),
    "timm/vit_base_patch16_plus_clip_240.laion400m_e31": _clip("B+", 16, 240),
    "timm/vit_large_patch14_clip_224.laion400m_e32": _clip("L", 14),
    # DataComp and CommonPool.
    "laion/CLIP-ViT-B-32-256x256-DataComp-s34B-b86K": _clip("B", 32, 256),
    "laion/CLIP-ViT-B-32-DataComp.XL-s13B-b90K": _clip("B", 32),
    "laion/CLIP-ViT-B-32-DataComp.M-s128M-b4K": _clip("B", 32),
    "laion/CLIP-ViT-B-32-DataComp.S-s13M-b4K": _clip("B", 32),
    "laion/CLIP-ViT-B-16-DataComp.XL-s13B-b90K": _clip("B", 16),
    "laion/CLIP-ViT-B-16-DataComp.L-s1B-b8K": _clip("B", 16),
    "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K": _clip("L", 14),
    **{f"laion/CLIP-ViT-B-32-CommonPool.S{x}-s13M-b4K": _clip("B", 32) for x in _POOLS},
    **{f"laion/CLIP-ViT-B-32-CommonPool.M{x}-s128M-b4K": _clip("B", 32) for x in _POOLS},
    **{f"laion/CLIP-ViT-B-16-CommonPool.L{x}-s1B-b8K": _clip("B", 16) for x in _POOLS},
    **{f"laion/CLIP-ViT-L-14-CommonPool.XL{x}-s13B-b90K": _clip("L", 14) for x in _POOLS[:3]},
    # DFN.
    "apple/DFN2B-CLIP-ViT-B-16": _quick("B", 16),
    "apple/DFN2B-CLIP-ViT-L-14": _quick("L", 14),
    "apple/DFN2B-CLIP-ViT-L-14-39B": _clip("L", 14),
    "apple/DFN5B-CLIP-ViT-H-14": _quick("H", 14),
    "apple/DFN5B-CLIP-ViT-H-14-378": _quick("H", 14, 378),
    # MetaCLIP.
    **{f"facebook/metaclip-b32-{data}": _quick("B", 32) for data in ("400m", "fullcc2.5b")},
    **{f"facebook/metaclip-b16-{data}": _quick("B", 16) for data in ("400m", "fullcc2.5b")},
    **{f"facebook/metaclip-l14-{data}": _quick("L", 14) for data in ("400m", "fullcc2.5b")},
    "facebook/metaclip-h14-fullcc2.5b": _quick("H", 14),
    "timm/vit_huge_patch14_clip_224.metaclip_altogether": _clip("H", 14),
    "timm/vit_gigantic_patch14_clip_224.metaclip_2pt5b": _quick("bigG", 14),
}
METACLIP2S: Mapping[str, CLIPConfig] = {
    f"facebook/metaclip-2-worldwide-{name}": _worldwide(clip)
    for name, clip in {
        "huge-quickgelu": _quick("H", 14),
        "huge-378": _clip("H", 14, 378),
        "giant": _clip("bigG", 14),
        "giant-378": _clip("bigG", 14, 378),
    }.items()
}
CLIPAS: Mapping[str, CLIPConfig] = {
    **{
        f"UCSC-VLAA/ViT-{model}-14-CLIPA{size}-datacomp1B": _clipa(model, image)
        for model in ("L", "H", "bigG")
        for size, image in (("", 224), ("-336", 336))
    },
    "UCSC-VLAA/ViT-H-14-CLIPA-336-laion2B": _clipa("H", 336),
}
RESNETS: Mapping[str, CLIPConfig] = {
    "timm/resnet50_clip.openai": _resnet(64, (3, 4, 6, 3), 224, joint=1024, text=512),
    "timm/resnet101_clip.openai": _resnet(64, (3, 4, 23, 3), 224, joint=512, text=512),
    "timm/resnet50x4_clip.openai": _resnet(80, (4, 6, 10, 6), 288, joint=640, text=640),
    "timm/resnet50x16_clip.openai": _resnet(96, (6, 8, 18, 8), 384, joint=768, text=768),
    "timm/resnet50x64_clip.openai": _resnet(128, (3, 15, 36, 10), 448, joint=1024, text=1024),
}
