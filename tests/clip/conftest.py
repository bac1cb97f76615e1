"""Small CLIPs: a byte-level tokenizer, directories, and the PyTorch oracle."""

import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from common.clip import (
    CLIP,
    CLIPConfig,
    Preprocess,
    ResNetConfig,
    TextConfig,
    Tokenizer,
    ViTConfig,
    save_clip,
)
from common.clip.checkpoint import abstract_params

MERGES = ("c a", "ca t</w>", "d o", "do g</w>")
SPECIAL = ("<|startoftext|>", "<|endoftext|>")


def byte_symbols():
    """GPT-2's printable stand-ins for the 256 bytes, in CLIP's order."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1)]
    printable += range(ord("®"), ord("ÿ") + 1)
    return [chr(b) for b in printable] + [chr(256 + n) for n in range(256 - len(printable))]


def vocabulary_writer(directory, merges):
    """CLIP's vocabulary: bytes, bytes that end a word, merges, start and end."""
    symbols = byte_symbols()
    words = [*symbols, *(symbol + "</w>" for symbol in symbols)]
    words += ["".join(merge.split()) for merge in merges]
    words += SPECIAL
    directory.mkdir(parents=True, exist_ok=True)
    vocabulary = {word: i for i, word in enumerate(words)}
    (directory / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    text = "\n".join(["#version: 0.2", *merges, ""])
    (directory / "merges.txt").write_text(text, encoding="utf-8")
    return directory


@pytest.fixture
def write_vocabulary():
    return vocabulary_writer


@pytest.fixture(scope="session")
def tokenizer_directory(tmp_path_factory):
    return vocabulary_writer(tmp_path_factory.mktemp("tokenizer"), MERGES)


@pytest.fixture(scope="session")
def tokenizer(tokenizer_directory):
    return Tokenizer.from_directory(tokenizer_directory)


@pytest.fixture(scope="session")
def oracle():
    pytest.importorskip("torch")
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("oracle.py"))))


def small_text(tokenizer, **changes):
    fields = {
        "vocab_size": tokenizer.vocab_size + 8,
        "width": 32,
        "layers": 3,
        "heads": 4,
        "mlp_width": 80,
        "positions": 24,
        "projection": 20,
        "bos": tokenizer.bos,
        "eos": tokenizer.eos,
        "pad": tokenizer.pad,
    }
    return TextConfig(**(fields | changes))


SMALL_VIT = ViTConfig(
    image_size=24, patch_size=8, width=36, layers=2, heads=3, mlp_width=72, projection=20
)
SMALL_RESNET = ResNetConfig(image_size=64, layers=(2, 1, 1, 1), width=8, heads=4, projection=20)
VISIONS = {"vit": SMALL_VIT, "resnet": SMALL_RESNET}


def small_clip(tokenizer, vision, **text):
    """Random weights; norms near the identity, variances positive."""
    config = CLIPConfig(small_text(tokenizer, **text), vision)
    rng = np.random.default_rng(0)

    def weights(path, leaf):
        around_one = str(path[-1].key) in ("scale", "variance")
        return rng.normal(around_one, 0.1, leaf.shape).astype(np.float32)

    params = jax.tree.map_with_path(weights, abstract_params(config))
    return CLIP(
        config,
        params,
        tokenizer,
        Preprocess(vision.image_size, mean=(0.5, 0.4, 0.3)),
        fingerprint="",
    )


@pytest.fixture(scope="session")
def vit_clip(tokenizer):
    return small_clip(tokenizer, SMALL_VIT)


@pytest.fixture(scope="session", params=VISIONS)
def clip(request, tokenizer):
    """A small CLIP with each kind of image tower."""
    return small_clip(tokenizer, VISIONS[request.param])


@pytest.fixture
def save():
    def saved(clip, directory):
        save_clip(clip, directory)
        return directory

    return saved


@pytest.fixture(scope="session")
def open_clip_json():
    """What open_clip would write for a configuration, with its own names and defaults."""

    def written(config):
        text, vision = config.text, config.vision
        if isinstance(vision, ResNetConfig):
            tower = {
                "layers": list(vision.layers),
                "head_width": 32 * vision.width // vision.heads,
            }
        else:
            tower = {
                "layers": vision.layers,
                "head_width": vision.width // vision.heads,
                "patch_size": vision.patch_size,
                "mlp_ratio": vision.mlp_width / vision.width,
            }
        return {
            "model_cfg": {
                "embed_dim": vision.projection,
                "quick_gelu": text.activation == "quick_gelu",
                "vision_cfg": {"image_size": vision.image_size, "width": vision.width, **tower},
                "text_cfg": {
                    "context_length": text.positions,
                    "vocab_size": text.vocab_size,
                    "width": text.width,
                    "heads": text.heads,
                    "layers": text.layers,
                    "mlp_ratio": text.mlp_width / text.width,
                },
            },
            "preprocess_cfg": {"interpolation": "bicubic", "resize_mode": "shortest"},
        }

    return written
