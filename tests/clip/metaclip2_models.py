"""A small MetaCLIP 2 with random weights, and a tokenizer like XLM-V's."""

import string

from common.clip import CLIP, Preprocess
from common.clip.config import CLIPConfig, TextConfig, ViTConfig
from common.clip.metaclip2_files import metaclip2_config
from common.clip.metaclip2_tokenizer import MetaCLIP2Tokenizer
from common.files import write_json

WORDS = ("▁a", "▁cat", "▁Katze", "▁photo", "▁of", "▁ネコ", "s", "▁eine", "e")
SENTENCES = (
    "a photo of a cat.",
    "eine Katze,  zwei\n Katzen & ein CAT",
    "ネコ ネコのネコ",
    "",
    "a </s> cat <mask> ✓",
    "a photo of cats " * 4,
)
from tests.clip.random_weights import random_weights

LENGTH = 16
TEXT = {"width": 32, "layers": 3, "heads": 4, "mlp_width": 80, "positions": LENGTH}
VISION = {"image_size": 28, "patch_size": 7, "width": 40, "layers": 2, "heads": 5, "mlp_width": 96}
PROJECTION = 24


def pieces():
    """Pieces with their scores, by id."""
    start = [[word, 0.0] for word in ("<s>", "<pad>", "</s>", "<unk>")]
    letters = [[letter, -9.0] for letter in f"▁{string.ascii_letters},.&のネコ"]
    words = [[word, -2.0 - 0.1 * i] for i, word in enumerate(WORDS)]
    return [*start, *letters, *words, ["<mask>", 0.0]]


def write_tokenizer(directory):
    """Write `tokenizer.json` as facebook/xlm-v-base has it."""
    vocab = pieces()
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    added = [
        {"id": number, "content": vocab[number][0], "special": True, **plain}
        for number in (0, 1, 2, 3, len(vocab) - 1)
    ]
    added[-1]["lstrip"] = True
    content = {
        "version": "1.0",
        "added_tokens": added,
        "model": {"type": "Unigram", "unk_id": 3, "vocab": vocab},
    }
    write_json(directory / "tokenizer.json", content)
    settings = {"tokenizer_class": "XLMRobertaTokenizer", "model_max_length": 512}
    write_json(directory / "tokenizer_config.json", settings)
    return directory


def small_metaclip2(directory):
    """A model whose tokenizer's files are written to `directory` first."""
    tokenizer = MetaCLIP2Tokenizer.from_directory(write_tokenizer(directory))
    tokenizer.length = LENGTH
    text = TextConfig(tokenizer.vocab_size, **TEXT, projection=PROJECTION)
    config = metaclip2_config(CLIPConfig(text, ViTConfig(**VISION, projection=PROJECTION)))
    params = random_weights(config)
    preprocess = Preprocess(28, resize=(28, 28))
    return CLIP(config, params, tokenizer, preprocess, fingerprint="")
