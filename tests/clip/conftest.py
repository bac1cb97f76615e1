"""Small CLIPs: a byte-level tokenizer, directories, and the PyTorch oracle."""

import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.clip import (
    CLIP,
    CLIPConfig,
    ModifiedResNet,
    Preprocess,
    ResNetConfig,
    TextConfig,
    TextTower,
    Tokenizer,
    ViT,
    ViTConfig,
    save_clip,
)

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
SMALL_RESNET = ResNetConfig(image_size=64, layers=(2, 1, 2, 1), width=8, heads=4, projection=20)
VISIONS = {"vit": SMALL_VIT, "resnet": SMALL_RESNET}


@pytest.fixture(scope="session", params=VISIONS)
def clip(request, tokenizer):
    """A small CLIP with random weights, once with each kind of image tower."""
    vision = VISIONS[request.param]
    config = CLIPConfig(small_text(tokenizer), vision)
    tower = ViT(vision) if request.param == "vit" else ModifiedResNet(vision)
    pixels = jnp.zeros((1, vision.image_size, vision.image_size, 3))
    embeddings = jnp.zeros((1, 4, config.text.width))
    params = {
        "text": TextTower(config.text).init(jax.random.key(0), embeddings, jnp.zeros(1, int)),
        "vision": tower.init(jax.random.key(1), pixels),
    }
    params = {name: tree["params"] for name, tree in params.items()}
    params = jax.tree.map(np.asarray, params) | {"logit_scale": np.float32(2.5)}
    return CLIP(config, params, tokenizer, Preprocess(vision.image_size), fingerprint="")


@pytest.fixture
def clip_directory(clip, tmp_path):
    save_clip(clip, tmp_path / "clip")
    return tmp_path / "clip"
