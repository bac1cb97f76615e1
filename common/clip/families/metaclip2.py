"""MetaCLIP 2, which reads texts in any language, as Hugging Face publishes it."""

from dataclasses import replace

from common.clip import metaclip2_files
from common.clip.config import MetaCLIP2TextConfig, ViTConfig
from common.clip.families.hugging_face import HUGGING_FACE, PREPROCESS_FILE
from common.clip.families.published import METACLIP2S
from common.clip.hugging_face import FILE, preprocess_to_json
from common.clip.metaclip2_tokenizer import MetaCLIP2Tokenizer

METACLIP2 = replace(
    HUGGING_FACE,
    name="MetaCLIP 2",
    claims=metaclip2_files.is_metaclip2,
    read_config=metaclip2_files.metaclip2_from_json,
    files=lambda config, preprocess: {
        FILE: metaclip2_files.metaclip2_to_json(config),
        PREPROCESS_FILE: preprocess_to_json(preprocess),
    },
    configs=(MetaCLIP2TextConfig, ViTConfig),
    read_tokenizer=MetaCLIP2Tokenizer.from_directory,
    known=METACLIP2S,
)
