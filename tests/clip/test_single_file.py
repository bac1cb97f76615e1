"""CLIP in one file: what its shapes, its keys and what lies beside it say."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest

from benchmarks.archives import checkpoint_archive, script_archive
from common.clip import CLIP, CLIPConfig, Preprocess, ResNetConfig, ViTConfig, load_clip, save_clip
from common.clip.checkpoint import abstract_params
from common.clip.families import FAMILIES
from common.clip.families.clipa import CLIPA
from common.clip.families.siglip import SIGLIP
from common.clip.known import describe_clip
from common.clip.single_file import sizes
from common.convert import convert
from common.errors import UserError
from common.weights.clip import OPEN_CLIP_RESNET, OPEN_CLIP_VIT
from common.weights.files import write_tensors
from common.weights.table import to_source
from tests.clip.conftest import small_text
from tests.compare import same

VIT = ViTConfig(
    image_size=24, patch_size=8, width=64, layers=2, heads=1, mlp_width=96, projection=20
)
RESNET = ResNetConfig(image_size=64, layers=(2, 1, 1, 1), width=8, heads=4, projection=20)


def made(tokenizer, vision, activation="quick_gelu"):
    text = small_text(tokenizer, width=64, heads=1, vocab_size=tokenizer.vocab_size)
    config = CLIPConfig(replace(text, activation=activation), vision)
    rng = np.random.default_rng(0)

    def weights(path, leaf):
        around_one = str(path[-1].key) in ("scale", "variance")
        return rng.normal(around_one, 0.1, leaf.shape).astype(np.float32)

    params = jax.tree.map_with_path(weights, abstract_params(config))
    return CLIP(config, params, tokenizer, Preprocess(vision.image_size), "")


def tensors_of(clip):
    table = OPEN_CLIP_VIT if isinstance(clip.config.vision, ViTConfig) else OPEN_CLIP_RESNET
    return to_source(table, clip.params)


def openai_file(clip, folder):
    """What OpenAI published: TorchScript, with three sizes among the weights."""
    numbers = {"input_resolution": 24, "context_length": 24, "vocab_size": 518}
    sizes = {name: np.array(number) for name, number in numbers.items()}
    (folder / "ViT-B-32.pt").write_bytes(script_archive(tensors_of(clip) | sizes))
    clip.tokenizer.save(folder)
    return folder / "ViT-B-32.pt"


def epoch_file(clip, folder):
    """What open_clip's training writes."""
    weights = {f"module.{key}": x for key, x in tensors_of(clip).items()}
    content = {"epoch": 3, "name": "run", "state_dict": weights, "optimizer": {"step": 1}}
    (folder / "epoch_3.pt").write_bytes(checkpoint_archive(content))
    clip.tokenizer.save(folder)
    return folder / "epoch_3.pt"


@pytest.mark.parametrize("vision", [VIT, RESNET], ids=["vit", "resnet"])
def test_openais_own_file(tokenizer, tmp_path, vision):
    clip = made(tokenizer, vision)
    file = openai_file(clip, tmp_path)
    loaded = load_clip(str(file))
    assert same(loaded.params, clip.params)
    assert loaded.config.vision == vision
    assert loaded.config.text == replace(clip.config.text, pool="eos")
    described = describe_clip(str(file))
    assert described.config.vision == vision
    assert described.tokenizer.length == loaded.tokenizer.length == 24
    save_clip(loaded, tmp_path / "folder")
    assert load_clip(str(tmp_path / "folder")).fingerprint == loaded.fingerprint


@pytest.mark.parametrize("vision", [VIT, RESNET], ids=["vit", "resnet"])
def test_an_activation_that_the_files_deny_is_refused(tokenizer, tmp_path, vision):
    clip = made(tokenizer, vision)
    save_clip(clip, tmp_path / "folder")
    for source in (openai_file(clip, tmp_path), tmp_path / "folder"):
        assert load_clip(source, activation="quick_gelu").config.text.activation == "quick_gelu"
        with pytest.raises(UserError, match=r"activation='gelu' is not what .* say, quick_gelu: "):
            load_clip(source, activation="gelu")
        with pytest.raises(UserError, match="activation='GELU' is unknown; choose one of gelu, "):
            load_clip(source, activation="GELU")


def test_open_clips_epoch_does_not_say_its_activation(tokenizer, tmp_path):
    clip = made(tokenizer, VIT)
    file = epoch_file(clip, tmp_path)
    with pytest.raises(UserError, match=r"gelu, as open_clip's do, or quick_gelu") as caught:
        load_clip(str(file))
    assert "--activation=gelu" in str(caught.value) and "open_clip_config.json" in str(caught.value)
    for activation in ("gelu", "quick_gelu"):
        loaded = load_clip(str(file), activation=activation)
        assert same(loaded.params, clip.params)
        assert loaded.config.text.activation == loaded.config.vision.activation == activation
    report = convert(str(file), tmp_path / "out", activation="gelu")
    assert load_clip(str(tmp_path / "out")).config.text.activation == "gelu"
    assert report["parts"]["clip"]["ignored"] == []
    with pytest.raises(UserError, match="--prediction is not an option"):
        convert(str(file), tmp_path / "other", prediction="epsilon")


def test_a_configuration_beside_the_file_decides(tokenizer, tmp_path, open_clip_json):
    clip = made(tokenizer, VIT)
    file = epoch_file(clip, tmp_path)
    content = open_clip_json(clip.config)
    content["model_cfg"]["quick_gelu"] = False
    content["preprocess_cfg"]["mean"] = [0.5, 0.5, 0.5]
    (tmp_path / "open_clip_config.json").write_text(json.dumps(content))
    loaded = load_clip(str(file))
    assert loaded.config.vision.activation == "gelu" and loaded.preprocess.mean == (0.5, 0.5, 0.5)
    assert same(loaded.params, clip.params)


def test_the_weights_of_a_folder(vit_clip, tmp_path):
    save_clip(vit_clip, tmp_path)
    file = load_clip(str(tmp_path / "model.safetensors"))
    assert file.fingerprint == load_clip(str(tmp_path)).fingerprint
    (tmp_path / "config.json").unlink()
    with pytest.raises(UserError, match="is the weights alone, not a model's folder"):
        load_clip(str(tmp_path / "model.safetensors"))


def test_published_sizes(tmp_path):
    """Of models of OpenAI's and of open_clip's, from shapes that take no memory."""
    # A name for each configuration: many models differ in what they have learned alone.
    known = {
        config: name
        for family in FAMILIES
        if family not in (SIGLIP, CLIPA)
        for name, config in family.known.items()
        if "base" in name or "50x4" in name or "H-14" in name
    }
    for config, name in known.items():
        shapes = abstract_params(config)
        zeros = jax.tree.map(lambda x: np.broadcast_to(np.float32(0), x.shape), shapes)
        table = OPEN_CLIP_VIT if isinstance(config.vision, ViTConfig) else OPEN_CLIP_RESNET
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(np, "asarray", lambda x, **_: x)
            tensors = to_source(table, zeros)
        assert sizes(tmp_path, tensors, config.text.activation).vision == config.vision, name


def test_the_tokenizer_is_beside_the_file(tokenizer, tmp_path):
    file = openai_file(made(tokenizer, VIT), tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"holds no tokenizer.*hf download openai/clip-vit-large"):
        load_clip(str(file))


ODD = {
    "no width": {"visual.conv1.weight": np.zeros((0, 3, 8, 8), np.float32)},
    "an odd width": {"visual.conv1.weight": np.zeros((63, 3, 8, 8), np.float32)},
    "no patch": {"visual.conv1.weight": np.zeros((64, 3, 0, 0), np.float32)},
    "no cells": {"visual.positional_embedding": np.zeros((0, 64), np.float32)},
    "a vector": {"visual.positional_embedding": np.zeros(10, np.float32)},
    "no projection": {"text_projection": np.zeros((64, 0), np.float32)},
    "a number": {"text_projection": np.zeros((), np.float32)},
    "no words": {"token_embedding.weight": np.zeros((0, 64), np.float32)},
}


@pytest.mark.parametrize("change", ODD.values(), ids=ODD)
def test_shapes_that_no_clip_has(tokenizer, tmp_path, change):
    clip = made(tokenizer, VIT)
    clip.tokenizer.save(tmp_path)
    write_tensors(tmp_path / "x.safetensors", tensors_of(clip) | change)
    with pytest.raises(UserError, match=r"whose sizes can be told|has wrong shapes"):
        load_clip(str(tmp_path / "x.safetensors"), activation="gelu")
