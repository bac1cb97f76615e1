"""CLIPA as open_clip publishes it."""

from dataclasses import replace

from common.clip import clipa_files
from common.clip.clipa import CLIPAViT
from common.clip.clipa_tokenizer import CLIPATokenizer
from common.clip.config import CLIPAViTConfig, TextConfig
from common.clip.families.family import TOKENIZER_FILES
from common.clip.families.open_clip import VIT
from common.clip.families.published import CLIPAS
from common.clip.open_clip import FILE, preprocess_to_json
from common.clip.word_pieces import WORDS

CLIPA = replace(
    VIT,
    name="CLIPA",
    claims=clipa_files.is_clipa,
    read_config=clipa_files.clipa_from_json,
    read_preprocess=lambda _, config, size: clipa_files.preprocess_from_json(config, size),
    files=lambda config, preprocess: {
        FILE: clipa_files.clipa_to_json(config) | preprocess_to_json(preprocess)
    },
    configs=(TextConfig, CLIPAViTConfig),
    image_tower=CLIPAViT,
    small_files=(WORDS, *TOKENIZER_FILES),
    read_tokenizer=CLIPATokenizer.from_directory,
    tokenizer_marks=("tokenizer.json", WORDS),
    tokenizer_source=next(iter(CLIPAS)),
    known=CLIPAS,
)
