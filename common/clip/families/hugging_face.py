"""CLIP with a vision transformer as Hugging Face publishes it."""

from pathlib import Path
from typing import Any

from common.clip import hugging_face
from common.clip.config import TextConfig, ViTConfig
from common.clip.families.family import TOKENIZER_FILES, Family
from common.clip.families.published import VITS
from common.clip.processor import FILE as PREPROCESS_FILE
from common.clip.processor import WHOLE_FILE
from common.clip.text import TextTower
from common.clip.vit import ViT
from common.files import read_record
from common.records import Record
from common.sizes import REMEDY
from common.weights.clip import HF_CLIP, HF_IGNORE

PROCESSOR_FILES = (PREPROCESS_FILE, WHOLE_FILE)


def processor_of(directory: Path) -> Record | dict[str, Any]:
    """Return what a directory says of its preprocessing: nothing where it has no file for that.

    As in transformers 5, `processor_config.json` goes before `preprocessor_config.json` if it says
    anything of images; older ones do not.
    """
    file, whole = (directory / name for name in PROCESSOR_FILES)
    if whole.exists():
        images = read_record(whole, REMEDY).record("image_processor", default={})
        if images.content:
            return images
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
    small_files=(*PROCESSOR_FILES, *TOKENIZER_FILES),
    in_transformers=True,
    resampling="bicubic",
    known=VITS,
)
