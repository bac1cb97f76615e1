"""Loading and saving directories: layouts, shards, precision, and what is refused."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from common.clip import ResNetConfig, encode_text, load_clip, load_text_tower, save_text_tower
from common.errors import UserError
from common.weights.clip import OPEN_CLIP_VIT
from common.weights.files import read_tensors, write_tensors
from common.weights.table import to_source
from tests.compare import same


def edit_json(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.fixture
def hf_directory(vit_clip, save, tmp_path):
    return save(vit_clip, tmp_path / "clip")


def test_save_and_load(clip, save, tmp_path):
    loaded = load_clip(str(save(clip, tmp_path)))
    assert loaded.config == clip.config
    assert same(loaded.params, clip.params)
    assert loaded.preprocess == clip.preprocess
    assert loaded.tokenizer(["a cat"]).shape == (1, clip.config.text.positions)
    assert loaded.fingerprint and loaded.fingerprint == load_clip(str(tmp_path)).fingerprint
    written = {path.name for path in tmp_path.iterdir()}
    if isinstance(clip.config.vision, ResNetConfig):
        assert {"open_clip_config.json", "open_clip_model.safetensors"} <= written
    else:
        assert {"config.json", "model.safetensors"} <= written


def test_published_files_hold_position_ids(hf_directory, vit_clip):
    tensors = read_tensors(hf_directory)
    for tower in ("text_model", "vision_model"):
        tensors[f"{tower}.embeddings.position_ids"] = np.arange(24)[None]
    write_tensors(hf_directory / "model.safetensors", tensors, {})
    assert same(load_clip(str(hf_directory)).params, vit_clip.params)


@pytest.mark.parametrize("left", [True, False])
def test_the_preprocessing_stands_where_transformers_5_writes_it(hf_directory, vit_clip, left):
    file, whole = hf_directory / "preprocessor_config.json", hf_directory / "processor_config.json"
    whole.write_text('{"processor_class": "CLIPProcessor"}')  # As older versions write it.
    assert load_clip(str(hf_directory)).preprocess == vit_clip.preprocess
    content = json.loads(file.read_text())
    if not left:
        file.unlink()
    other = content | {"image_mean": [0.1, 0.2, 0.3]}
    whole.write_text(json.dumps({"image_processor": other, "processor_class": "CLIPProcessor"}))
    loaded = load_clip(str(hf_directory)).preprocess
    assert loaded == dataclasses.replace(vit_clip.preprocess, mean=(0.1, 0.2, 0.3))
    whole.write_text(json.dumps({"image_processor": other | {"do_pad": True}}))
    with pytest.raises(UserError, match=r"image_processor\.do_pad=True in .*processor_config"):
        load_clip(str(hf_directory))


def test_missing_and_unknown_weights_are_listed_together(hf_directory):
    tensors = dict(read_tensors(hf_directory))
    layer = "text_model.encoder.layers.1.mlp"
    tensors[f"{layer}.fc3.bias"] = tensors.pop(f"{layer}.fc1.bias")
    write_tensors(hf_directory / "model.safetensors", tensors, {})
    with pytest.raises(UserError) as error:
        load_clip(str(hf_directory))
    assert f"holds 1 entry ({layer}.fc3.bias) that this model does not know" in str(error.value)
    assert "it lacks 1 entry (text/block_1/mlp/fc1/bias)" in str(error.value)


def test_weights_of_another_size_are_refused(hf_directory):
    config = json.loads((hf_directory / "config.json").read_text())
    edit_json(hf_directory / "config.json", text_config=config["text_config"] | {"hidden_size": 64})
    with pytest.raises(UserError, match=r"wrong shapes.*\(32,\) instead of \(64,\)"):
        load_clip(str(hf_directory))


@pytest.mark.parametrize("stored", [np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_precision(hf_directory, vit_clip, stored, dtype):
    tensors = {name: x.astype(stored) for name, x in read_tensors(hf_directory).items()}
    write_tensors(hf_directory / "model.safetensors", tensors, {})
    loaded = load_clip(str(hf_directory), dtype)
    expected = jax.tree.map(lambda x: x.astype(stored).astype(dtype), vit_clip.params)
    assert same(loaded.params, expected)
    assert {leaf.dtype for leaf in jax.tree.leaves(loaded.params)} == {np.dtype(dtype)}
    ids = jnp.asarray(loaded.tokenizer(["a cat"], length=12))
    assert encode_text(loaded.text_tower, loaded.params["text"], ids).dtype == dtype


def test_shards(hf_directory, vit_clip):
    tensors = read_tensors(hf_directory)
    names = sorted(tensors)
    index = {}
    for i, part in enumerate((names[:10], names[10:]), start=1):
        file = f"model-{i:05}-of-00002.safetensors"
        write_tensors(hf_directory / file, {name: tensors[name] for name in part}, {})
        index |= dict.fromkeys(part, file)
    (hf_directory / "model.safetensors").unlink()
    index_file = hf_directory / "model.safetensors.index.json"
    index_file.write_text(json.dumps({"metadata": {}, "weight_map": index}))
    assert same(load_clip(str(hf_directory)).params, vit_clip.params)


def test_open_clip_layout_of_a_vit(vit_clip, tokenizer, open_clip_json, tmp_path):
    tensors = to_source(OPEN_CLIP_VIT, vit_clip.params)
    tensors["attn_mask"] = np.zeros((24, 24), np.float32)
    write_tensors(tmp_path / "open_clip_model.safetensors", tensors, {})
    (tmp_path / "open_clip_config.json").write_text(json.dumps(open_clip_json(vit_clip.config)))
    tokenizer.save(tmp_path)
    # On the hub, another library's configuration may lie beside it.
    (tmp_path / "config.json").write_text('{"architecture": "vit_base_patch32_clip_224"}')
    loaded = load_clip(str(tmp_path))
    assert loaded.config == vit_clip.config
    assert same(loaded.params, vit_clip.params)


def test_special_ids_are_the_tokenizers(hf_directory, tokenizer):
    config = json.loads((hf_directory / "config.json").read_text())
    legacy = config["text_config"] | {"eos_token_id": 2, "bos_token_id": 0, "pad_token_id": 1}
    edit_json(hf_directory / "config.json", text_config=legacy)
    text = load_clip(str(hf_directory)).config.text
    assert (text.bos, text.eos, text.pad) == (tokenizer.bos, tokenizer.eos, tokenizer.pad)
    assert text.pool == "argmax"


def test_the_fingerprint_covers_weights_and_configuration(hf_directory):
    first = load_clip(str(hf_directory)).fingerprint
    config = json.loads((hf_directory / "config.json").read_text())
    gelu = config["text_config"] | {"hidden_act": "gelu"}
    edit_json(hf_directory / "config.json", text_config=gelu)
    second = load_clip(str(hf_directory)).fingerprint
    tensors = dict(read_tensors(hf_directory))
    scale = tensors["logit_scale"]
    tensors["logit_scale"] = np.asarray(np.nextafter(scale, np.float32(9)))
    write_tensors(hf_directory / "model.safetensors", tensors, {})
    third = load_clip(str(hf_directory)).fingerprint
    assert len({first, second, third}) == 3


def test_a_tokenizer_of_another_model_is_refused(hf_directory, write_vocabulary):
    (hf_directory / "tokenizer.json").unlink()
    write_vocabulary(hf_directory, [f"{a} {b}" for a in "bcdef" for b in "ghijk"])
    with pytest.raises(UserError, match="knows 539 ids, the text tower only 526"):
        load_clip(str(hf_directory))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", None, "is not a CLIP directory: it holds neither config.json nor open_"),
        ("config.json", "{", "cannot be read as JSON"),
        ("config.json", "[]", "holds no JSON object"),
        ("config.json", '{"model_type": "blip"}', "describes a 'blip' model, not a 'clip'"),
        ("model.safetensors", None, "holds no weights; looked for model.safetensors, model.s"),
        ("tokenizer.json", None, "holds no tokenizer"),
    ],
)
def test_incomplete_directories(hf_directory, name, content, message):
    (hf_directory / name).unlink()
    if content is not None:
        (hf_directory / name).write_text(content)
    with pytest.raises(UserError, match=message):
        load_clip(str(hf_directory))


@pytest.mark.parametrize("prefix", ["text_model.", ""])
def test_a_text_tower_alone(vit_clip, tmp_path, prefix):
    """As Stable Diffusion's `text_encoder/`, with the published keys or transformers 5's."""
    params = dict(vit_clip.params["text"])
    del params["projection"]
    save_text_tower(vit_clip.config.text, params, tmp_path)
    tensors = read_tensors(tmp_path)
    renamed = {prefix + name.removeprefix("text_model."): x for name, x in tensors.items()}
    renamed[f"{prefix}embeddings.position_ids"] = np.arange(24)[None]
    write_tensors(tmp_path / "model.safetensors", renamed, {})
    config, loaded = load_text_tower(tmp_path)
    assert config.projection is None and config.width == 32
    assert same(loaded, params)
