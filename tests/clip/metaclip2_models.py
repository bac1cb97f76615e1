"""A small MetaCLIP 2 with random weights, and a tokenizer like XLM-V's."""

import string

import jax
import numpy as np

from common.clip import CLIP, Preprocess
from common.clip.checkpoint import abstract_params
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
    rng = np.random.default_rng(0)

    def weights(path, leaf):
        return rng.normal(str(path[-1].key) == "scale", 0.1, leaf.shape).astype(np.float32)

    params = jax.tree.map_with_path(weights, abstract_params(config))
    preprocess = Preprocess(28, resize=(28, 28))
    return CLIP(config, params, tokenizer, preprocess, fingerprint="")
