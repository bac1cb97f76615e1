"""What open_clip's published configurations say beside their sizes, with sizes of a test."""

from copy import deepcopy

from common.clip import CLIP, Preprocess
from common.clip.clipa_files import clipa_from_json
from common.clip.clipa_tokenizer import CLIPATokenizer
from tests.clip.random_weights import random_weights

VISION = {"image_size": 28, "width": 64, "layers": 2, "patch_size": 14, "head_width": 16}
TEXT = {"context_length": 16, "width": 32, "heads": 4, "layers": 2}
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
CLIPA = {"no_ln_pre": True, "pool_type": "avg", "final_ln_after_pool": True}
CLIPA_TEXT = {
    "context_length": 32,
    "hf_tokenizer_name": "bert-base-uncased",
    "tokenizer_kwargs": {"strip_sep_token": True},
    "pool_type": "last",
    "no_causal_mask": True,
}


def _model(vision=None, text=None, preprocess=None, **top):
    return {
        "model_cfg": {
            "embed_dim": 24,
            **top,
            "vision_cfg": VISION | (vision or {}),
            "text_cfg": TEXT | (text or {}),
        },
        "preprocess_cfg": preprocess or {},
    }


# The ratio of ViT-g and ViT-bigG is kept, and of a head's width the odd part.
PUBLISHED = {
    "LAION ViT-B": _model({"patch_size": 7, "head_width": 32}),
    "LAION ViT-H": _model({"width": 80, "head_width": 20}),
    "LAION ViT-g": _model({"width": 88, "head_width": 22, "mlp_ratio": 4.3637}),
    "LAION ViT-bigG": _model({"width": 104, "head_width": 26, "mlp_ratio": 4.9231}),
    "LAION-400M ViT-B-plus": _model({"patch_size": 7, "image_size": 35}),
    "DataComp ViT-B-32-256": _model({"patch_size": 7, "image_size": 35}),
    "MetaCLIP": _model(quick_gelu=True),
    "DFN5B ViT-H-378": _model(
        {"width": 80, "head_width": 20, "image_size": 30},
        preprocess={"interpolation": "bicubic", "resize_mode": "squash"},
        quick_gelu=True,
    ),
    "CLIPA ViT-H": _model(
        {"width": 80, "head_width": 20, **CLIPA},
        CLIPA_TEXT,
        IMAGENET | {"interpolation": "bilinear", "resize_mode": "squash"},
    ),
    "CLIPA ViT-bigG": _model(
        {"width": 104, "head_width": 26, "mlp_ratio": 4.9231, **CLIPA},
        CLIPA_TEXT,
        IMAGENET | {"interpolation": "bilinear", "resize_mode": "squash"},
    ),
}


def word_pieces():
    """BERT's special pieces at their ids, letters, and a few words."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    pieces = ["[PAD]", *(f"[unused{number}]" for number in range(99))]
    pieces += ["[UNK]", "[CLS]", "[SEP]", "[MASK]", *".,!-'&é", *letters]
    return [*pieces, *(f"##{letter}" for letter in letters), "cat", "dog", "photo", "##ing", "of"]


def write_word_pieces(folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join([*word_pieces(), ""]), encoding="utf-8")
    return folder


def clipa_content(**text):
    """CLIPA's own configuration, small; the fields are those of its text section."""
    made = deepcopy(PUBLISHED["CLIPA ViT-H"])
    made["model_cfg"]["text_cfg"] |= {"vocab_size": len(word_pieces()) + 3, **text}
    return made


def small_clipa(folder):
    """Random weights, and a tokenizer whose files are written to a folder."""
    config = clipa_from_json(clipa_content())
    params = random_weights(config)
    side = config.vision.image_size
    mean, std = (tuple(IMAGENET[name]) for name in ("mean", "std"))
    preprocess = Preprocess(side, mean, std, (side, side), "bilinear")
    tokenizer = CLIPATokenizer.from_directory(write_word_pieces(folder))
    return CLIP(config, params, tokenizer, preprocess, "")
