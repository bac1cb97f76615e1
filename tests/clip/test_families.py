"""The registry of families: a new one is an entry; and towers that are not causal."""

import json
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from aape_jax.classification.baselines.context import context_prompts
from common.clip import ViT, encode_text, families, load_clip, save_clip
from common.clip.families import family_of, find_family
from common.clip.families.hugging_face import HUGGING_FACE
from common.clip.known import describe_clip
from common.clip.text import TextTower, require_causal
from common.convert import convert
from common.data.clip_texts import text_features
from common.errors import UserError
from common.files import write_json
from common.kinds import find_kind
from common.weights.files import read_tensors, write_tensors
from mcti_jax.evaluation import token_features
from protext_jax.classifier import class_features
from protext_jax.fast import start_states
from protext_jax.learned import LearnedPrompts
from tests.extending.toy_family import TOY

pytestmark = pytest.mark.usefixtures("quick_compiler")


@pytest.fixture
def toy(monkeypatch, vit_clip, save, tmp_path):
    """A directory of the toy family, which is registered."""
    monkeypatch.setattr(families, "FAMILIES", (*families.FAMILIES, TOY))
    directory = save(vit_clip, tmp_path / "toy")
    content = json.loads((directory / "config.json").read_text())
    words = content.pop("text_config")
    write_json(directory / "config.json", content | {"model_type": "toy_clip", "words": words})
    tensors = read_tensors(directory)
    renamed = {f"toy.{name}": np.array(x) for name, x in tensors.items()}
    (directory / "model.safetensors").unlink()
    write_tensors(directory / "toy.safetensors", renamed, {})
    return str(directory)


def test_a_registered_family_is_loaded_and_written(toy, vit_clip, tmp_path):
    clip = load_clip(toy)
    assert family_of(clip.config) is TOY
    assert clip.config.vision.grid == vit_clip.config.vision.grid
    jax.tree.map(np.testing.assert_array_equal, clip.params, vit_clip.params)
    described = describe_clip(toy)
    assert described.config == clip.config
    assert jax.tree.map(np.shape, described.params) == jax.tree.map(np.shape, clip.params)
    save_clip(clip, tmp_path / "saved")
    assert load_clip(str(tmp_path / "saved")).fingerprint == clip.fingerprint


def test_a_registered_family_is_converted(toy, tmp_path):
    report = convert(toy, tmp_path / "converted")
    assert report["parts"]["clip"]["keys"]["toy.logit_scale"]["to"] == ("logit_scale",)
    assert find_kind(toy).load is load_clip


def test_texts_of_a_tower_that_is_not_causal_keep_their_padding(toy, tmp_path):
    clip = load_clip(toy)
    ids = jnp.asarray(clip.tokenizer(["a cat"]))
    expected = jax.jit(encode_text, static_argnums=0)(clip.text_tower, clip.params["text"], ids)
    np.testing.assert_allclose(text_features(clip, ["a cat"], tmp_path), expected, atol=1e-5)
    actual = clip.text_features(["a cat"])
    np.testing.assert_allclose(actual, expected / jnp.linalg.norm(expected), atol=1e-5)
    words = clip.tokenizer.encode("a photo of a")
    prompts = np.asarray(clip.params["text"]["token_embedding"], np.float32)[words][None]
    learned = LearnedPrompts({"prompts": prompts}, {})
    named = class_features(clip, learned, "a photo of a {}", ["cat"])
    np.testing.assert_allclose(named, clip.text_features(["a photo of a cat"]), atol=1e-5)
    assert context_prompts(clip, ["cat"]).embedded.shape[1] == clip.tokenizer.length


def test_an_unknown_model_is_refused_by_the_first_reader(tmp_path):
    write_json(tmp_path / "config.json", {"model_type": "toy_clip"})
    assert find_family(tmp_path) is HUGGING_FACE
    with pytest.raises(UserError, match="describes a 'toy_clip' model, not a 'clip' one"):
        describe_clip(str(tmp_path))


def test_each_published_size_is_of_its_own_family():
    for family in families.FAMILIES:
        for source, config in family.known.items():
            assert family_of(config) is family, source


def test_what_relies_on_a_causal_tower_refuses_another(vit_clip, tmp_path):
    config = replace(vit_clip.config, text=replace(vit_clip.config.text, causal=False))
    clip = replace(vit_clip, config=config)
    refused = pytest.raises(UserError, match="needs a causal text tower, and in this model's")
    with refused:
        start_states(clip.text_tower, clip.params["text"])
    with refused:
        save_clip(clip, tmp_path)
    with refused:
        token_features(ConfigDict(), clip, vit_clip, np.zeros((1, 1, 32)), ["a {}"])
    require_causal(vit_clip.config.text, "this test")


def test_a_tower_that_is_not_causal_sees_later_tokens(vit_clip):
    config = replace(vit_clip.config.text, causal=False)
    params = {"params": vit_clip.params["text"]}

    @partial(jax.jit, static_argnums=1)
    @jax.grad
    def gradient(embeddings, config):
        return TextTower(config).apply(params, embeddings, jnp.array([0])).projected.sum()

    embeddings = jax.random.normal(jax.random.key(0), (1, 5, config.width))
    for tower, reach in ((config, 5), (vit_clip.config.text, 1)):
        assert (np.abs(gradient(embeddings, tower)).sum(-1) > 0).sum() == reach


def test_names_of_caches_do_not_tell_what_is_usual(vit_clip):
    text = vit_clip.config.text
    assert "causal" not in repr(text)
    assert repr(replace(text, causal=False)) == f"{repr(text)[:-1]}, causal=False)"
    assert isinstance(vit_clip.image_tower, ViT)
