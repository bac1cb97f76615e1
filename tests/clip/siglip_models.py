"""Small SigLIPs: both kinds of tokenizer, and models with random weights."""

import re
import string

import ml_dtypes
import numpy as np

from common.clip import CLIP, Preprocess
from common.clip.siglip_files import HALF, siglip_config
from common.clip.siglip_tokenizer import SigLIPTokenizer
from common.files import write_json
from common.weights.siglip import BIG_VISION
from common.weights.table import to_source

LETTERS = string.ascii_lowercase + string.digits
WORDS = ("▁a", "▁cat", "▁dog", "▁photo", "▁of", "▁two", "s", "▁the")
SENTENCES = (
    "A photo of a cat.",
    "two   DOGS, and - a cat!",
    "  the é \n\n naïve cat ",
    "x",
    "a photo of two cats and the dog of a cat and a dog",
)
from tests.clip.random_weights import random_weights


def unigram():
    """A `tokenizer.json` like SigLIP's: pieces with scores, and bytes for all other letters."""
    pieces = [["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0], ["▁", -4.0]]
    pieces += [[letter, -6.0] for letter in LETTERS]
    pieces += [[word, -2.0 - 0.1 * i] for i, word in enumerate(WORDS)]
    pieces += [[f"<0x{byte:02X}>", 0.0] for byte in range(256)]
    special = {"special": True, "normalized": False, "lstrip": True, "rstrip": True}
    added = [(1, "</s>"), (2, "<unk>")]
    return {
        "version": "1.0",
        "added_tokens": [{"id": i, "content": word, **special} for i, word in added],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [{"type": "Lowercase"}, {"type": "Strip"}],
        },
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
        "model": {"type": "Unigram", "unk_id": 2, "byte_fallback": True, "vocab": pieces},
    }


def gemma():
    """A `tokenizer.json` like Gemma's, which SigLIP 2 has."""
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "\n\n", *(f"<0x{b:02X}>" for b in range(256))]
    pieces += ["▁", *LETTERS, *string.punctuation.replace("▁", "")]
    merges = [("c", "a"), ("ca", "t"), ("▁", "cat"), ("d", "o"), ("do", "g"), ("▁", "a")]
    pieces += ["".join(pair) for pair in merges]
    special = {"special": True, "normalized": False}
    added = [{"id": i, "content": pieces[i], **special} for i in range(4)]
    added.append({"id": 4, "content": "\n\n", "special": False, "normalized": False})
    return {
        "version": "1.0",
        "added_tokens": added,
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"String": " "},
            "behavior": "MergedWithPrevious",
            "invert": False,
        },
        "model": {
            "type": "BPE",
            "unk_token": "<unk>",
            "fuse_unk": True,
            "byte_fallback": True,
            "vocab": {piece: i for i, piece in enumerate(pieces)},
            "merges": [list(pair) for pair in merges],
        },
    }


TOKENIZERS = {"siglip": unigram, "siglip2": gemma}


def write_tokenizer(directory, kind, **settings):
    """Write the files of a tokenizer."""
    write_json(directory / "tokenizer.json", TOKENIZERS[kind]())
    write_json(directory / "tokenizer_config.json", settings)
    return directory


TEXT = {"width": 32, "layers": 3, "heads": 4, "mlp_width": 80, "positions": 16}
VISION = {"image_size": 28, "patch_size": 7, "width": 40, "layers": 2, "heads": 5, "mlp_width": 96}


def small_siglip(tokenizer: SigLIPTokenizer, **text) -> CLIP:
    """Random weights; norms near the identity."""
    words = {"vocab_size": tokenizer.vocab_size, "eos": tokenizer.eos, "pad": tokenizer.pad}
    config = siglip_config(TEXT | words | text, VISION)
    params = random_weights(config)
    tokenizer.length = config.text.positions
    side = VISION["image_size"]
    preprocess = Preprocess(side, HALF, HALF, (side, side))
    return CLIP(config, params, tokenizer, preprocess, fingerprint="")


def big_vision_file(clip, path, *, prefix="params/", stacked=False, half=False, head=True):
    """Write a model as big_vision does, whose layouts differ."""
    heads = {"txt": clip.config.text.heads, "img": clip.config.vision.heads}
    arrays = {}
    for key, array in to_source(BIG_VISION, clip.params).items():
        count = heads.get(key[:3], 1)
        *_, part, kind = ("", *key.split("/"))
        if "MultiHeadDotProductAttention" in key and (part, kind) != ("out", "bias"):
            array = array.squeeze(0) if part == "out" or kind == "bias" else array.squeeze(1)
            if part == "out":
                array = array.reshape(count, -1, array.shape[-1])
            else:
                array = array.reshape(*array.shape[:-1], count, -1)
        arrays[key] = array
    if stacked:
        arrays = stack(arrays)
    if not head:
        del arrays["txt/head/kernel"], arrays["txt/head/bias"]
    if half:
        arrays = {key: array.astype(ml_dtypes.bfloat16).view("V2") for key, array in arrays.items()}
    named = {f"{prefix}{key}": array for key, array in arrays.items()}
    if prefix:
        named["opt/0/count"] = np.array(7)
    np.savez(path, **named)


def stack(arrays):
    """Put the blocks of a tower into one array, as a loop over blocks has them."""
    whole, blocks = {}, {}
    for key, array in arrays.items():
        if match := re.fullmatch(r"(.*/encoderblock)_(\d+)/(.*)", key):
            blocks.setdefault(f"{match[1]}/{match[3]}", {})[int(match[2])] = array
        else:
            whole[key] = array
    return whole | {key: np.stack([x[i] for i in sorted(x)]) for key, x in blocks.items()}
