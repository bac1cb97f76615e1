"""SigLIP, and SigLIP 2 for images of a fixed size, as Hugging Face publishes them."""

from dataclasses import replace

from common.clip import siglip_files
from common.clip.config import CLIPConfig, SigLIPViTConfig, TextConfig
from common.clip.families.family import TOKENIZER_FILES, Family
from common.clip.families.hugging_face import PREPROCESS_FILE, PROCESSOR_FILES, processor_of
from common.clip.hugging_face import FILE
from common.clip.siglip import SigLIPViT
from common.clip.siglip_tokenizer import SigLIPTokenizer
from common.clip.text import TextTower
from common.weights.clip import HF_IGNORE
from common.weights.siglip import BIG_VISION as BIG_VISION_TABLE
from common.weights.siglip import HF_SIGLIP

# Width, blocks, heads and width of the MLP, of the text tower and of most image towers.
_BASE, _LARGE = (768, 12, 12, 3072), (1024, 24, 16, 4096)
_SO400M, _GIANT = (1152, 27, 16, 4304), (1536, 40, 16, 6144)
_FIELDS = ("width", "layers", "heads", "mlp_width")
_ENGLISH, _MANY, _GEMMA = 32_000, 250_000, 256_000  # words


def _sizes(
    words: int,
    patch: int,
    image: int,
    text: tuple[int, ...],
    vision: tuple[int, ...] = (),
    positions: int = 64,
) -> CLIPConfig:
    pad = siglip_files.PAD if words != _GEMMA else 0
    return siglip_files.siglip_config(
        {"vocab_size": words, "positions": positions, "pad": pad, **_named(text)},
        {"image_size": image, "patch_size": patch, **_named(vision or text)},
    )


def _named(sizes: tuple[int, ...]) -> dict[str, int]:
    return dict(zip(_FIELDS, sizes, strict=True))


SIGLIP = Family(
    name="SigLIP",
    config_file=FILE,
    claims=siglip_files.is_siglip,
    read_config=siglip_files.siglip_from_json,
    read_preprocess=lambda directory, _, size: siglip_files.preprocess_from_json(
        processor_of(directory), size
    ),
    files=lambda config, preprocess: {
        FILE: siglip_files.siglip_to_json(config),
        PREPROCESS_FILE: siglip_files.preprocess_to_json(preprocess),
    },
    configs=(TextConfig, SigLIPViTConfig),
    text_tower=TextTower,
    image_tower=SigLIPViT,
    table=HF_SIGLIP,
    ignore=HF_IGNORE,
    stem="model",
    small_files=(*PROCESSOR_FILES, *TOKENIZER_FILES),
    read_tokenizer=SigLIPTokenizer.from_directory,
    scalars=("logit_scale", "logit_bias"),
    in_transformers=True,
    resampling="bicubic",
    known={
        **{
            f"google/siglip-base-patch16-{side}": _sizes(_ENGLISH, 16, side, _BASE)
            for side in (224, 256, 384, 512)
        },
        "google/siglip-base-patch16-256-multilingual": _sizes(_MANY, 16, 256, _BASE),
        **{
            f"google/siglip-large-patch16-{side}": _sizes(_ENGLISH, 16, side, _LARGE)
            for side in (256, 384)
        },
        "google/siglip-so400m-patch14-224": _sizes(_ENGLISH, 14, 224, _SO400M, positions=16),
        "google/siglip-so400m-patch14-384": _sizes(_ENGLISH, 14, 384, _SO400M),
        "google/siglip-so400m-patch16-256-i18n": _sizes(_MANY, 16, 256, _SO400M),
        "google/siglip2-base-patch32-256": _sizes(_GEMMA, 32, 256, _BASE),
        **{
            f"google/siglip2-base-patch16-{side}": _sizes(_GEMMA, 16, side, _BASE)
            for side in (224, 256, 384, 512)
        },
        **{
            f"google/siglip2-large-patch16-{side}": _sizes(_GEMMA, 16, side, _LARGE)
            for side in (256, 384, 512)
        },
        **{
            f"google/siglip2-so400m-patch14-{side}": _sizes(_GEMMA, 14, side, _SO400M)
            for side in (224, 384)
        },
        **{
            f"google/siglip2-so400m-patch16-{side}": _sizes(_GEMMA, 16, side, _SO400M)
            for side in (256, 384, 512)
        },
        **{
            f"google/siglip2-giant-opt-patch16-{side}": _sizes(_GEMMA, 16, side, _SO400M, _GIANT)
            for side in (256, 384)
        },
    },
)
BIG_VISION = replace(
    SIGLIP, table=BIG_VISION_TABLE, ignore=(), resampling="corner_to_corner", known={}
)
"""The same model in big_vision's own file; Hugging Face's layout is what is written."""
