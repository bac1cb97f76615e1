"""Files: both kinds there and back, older layouts, and what is refused."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from common.convert import convert
from common.errors import UserError
from common.language import LMConfig, load_lm, save_lm
from common.language.checkpoint import abstract_lm
from common.language.config import KNOWN
from common.language.hugging_face import lm_from_json, lm_to_json
from common.language.tokenizer import LMTokenizer
from common.weights.files import read_tensors, write_tensors
from tests.language.tiny import GPT2, random_lm


def test_there_and_back(lm, tmp_path):
    save_lm(lm, tmp_path)
    again = load_lm(str(tmp_path))
    assert (again.config, again.fingerprint) == (lm.config, lm.fingerprint)
    jax.tree.map(np.testing.assert_array_equal, again.params, lm.params)
    text = "A photo of  two dogs, café."
    ids = again.tokenizer.encode(text)
    assert ids == lm.tokenizer.encode(text)
    assert again.tokenizer.decode(ids) == text


def test_files_of_the_transformer_alone_with_masks(tokenizer, tmp_path):
    lm = random_lm(GPT2, tokenizer)
    save_lm(lm, tmp_path)
    file = tmp_path / "model.safetensors"
    tensors = {
        key.removeprefix("transformer."): np.array(value)
        for key, value in read_tensors(tmp_path).items()
    }
    tensors["h.0.attn.bias"] = np.ones((1, 1, 4, 4), np.float32)
    write_tensors(file, tensors, {})
    assert load_lm(str(tmp_path)).fingerprint == lm.fingerprint


def test_query_key_and_value_stand_side_by_side_in_gpt2s_file(tokenizer, tmp_path):
    lm = random_lm(GPT2, tokenizer)
    save_lm(lm, tmp_path)
    joined = read_tensors(tmp_path)["transformer.h.1.attn.c_attn.weight"]
    attention = lm.params["block_1"]["attention"]
    assert joined.shape == (24, 72)
    np.testing.assert_array_equal(joined[:, 24:48], attention["key"]["kernel"])


def test_convert_reports_every_key(lm, tmp_path):
    save_lm(lm, tmp_path / "in")
    report = convert(str(tmp_path / "in"), tmp_path / "out")
    assert report["fingerprint"] == lm.fingerprint
    part = report["parts"]["language model"]
    assert not part["ignored"]
    assert "block_0/mlp/fc1/kernel" in {path for key in part["keys"].values() for path in key["to"]}


def test_configurations_there_and_back(lm):
    assert lm_from_json(lm_to_json(lm.config)) == lm.config


def test_gpt2s_own_file_says_little():
    assert lm_from_json({"model_type": "gpt2", "n_inner": None}) == KNOWN["openai-community/gpt2"]
    assert lm_from_json({"model_type": "gptj"}) == KNOWN["EleutherAI/gpt-j-6b"]


def test_sizes_may_have_the_names_that_other_models_give_them():
    sizes = {"hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4}
    config = lm_from_json({"model_type": "gpt2", "max_position_embeddings": 32, **sizes})
    assert (config.width, config.layers, config.heads, config.positions) == (96, 3, 4, 32)
    assert lm_from_json({"model_type": "gpt2", "n_head": 4, "num_attention_heads": 4}).heads == 4
    with pytest.raises(UserError, match=r"num_attention_heads=4 .* is not n_head, 12: "):
        lm_from_json({"model_type": "gpt2", "n_head": 12, "num_attention_heads": 4})


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("openai-community/gpt2", 124.4),
        ("openai-community/gpt2-medium", 354.8),
        ("openai-community/gpt2-large", 774.0),
        ("openai-community/gpt2-xl", 1557.6),
        ("EleutherAI/gpt-j-6b", 6050.9),
    ],
)
def test_published_sizes(name, millions):
    config = KNOWN[name]

    def size(layers):
        leaves = jax.tree.leaves(abstract_lm(dataclasses.replace(config, layers=layers)))
        return sum(np.prod(leaf.shape) for leaf in leaves)

    one, two = size(1), size(2)
    assert round((one + (config.layers - 1) * (two - one)) / 1e6, 1) == millions


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model_type": "llama"}, "describes a 'llama' model"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx=True"),
        ({"activation_function": "swish"}, "activation_function='swish'"),
    ],
)
def test_other_models_are_refused(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        lm_from_json({"model_type": "gpt2"} | changes)


def test_parts_of_different_models_are_refused(lm, tmp_path):
    save_lm(lm, tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(written | {"n_layer": 3}))
    with pytest.raises(UserError, match=r"lacks .*block_2"):
        load_lm(str(tmp_path))


def test_a_tokenizer_of_another_model_is_refused(tokenizer, tmp_path):
    config = LMConfig(vocab_size=100, width=8, layers=1, heads=2, mlp_width=8, positions=8, eos=7)
    save_lm(random_lm(config, tokenizer), tmp_path)
    with pytest.raises(UserError, match="they belong to different models"):
        load_lm(str(tmp_path))


def test_a_folder_without_tokenizer_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no tokenizer"):
        LMTokenizer.from_directory(tmp_path)
