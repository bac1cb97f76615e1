"""Model configurations of another form, with odd or enormous values, or of another model."""

import json

import jax
import pytest

from common.clip import hugging_face, load_clip, open_clip, save_clip
from common.clip.checkpoint import abstract_params
from common.diffusion import UNetConfig, VAEConfig, load_stable_diffusion, save_stable_diffusion
from common.errors import UserError
from common.files import read_json, write_json
from common.language.config import KNOWN
from common.language.hugging_face import lm_from_json
from common.weights.files import read_tensors, write_tensors

CLIP = {"model_type": "clip", "projection_dim": 512}
RN50 = {
    "embed_dim": 1024,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 224, "layers": [3, 4, 6, 3], "width": 64, "patch_size": None},
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 49408,
        "width": 512,
        "heads": 8,
        "layers": 12,
    },
}
VIT = RN50 | {"vision_cfg": {"image_size": 224, "layers": 12, "width": 768, "patch_size": 32}}


def clip(text=None, vision=None, **top):
    return CLIP | {"text_config": text or {}, "vision_config": vision or {}} | top


PLAIN_CLIP = {
    "whole floats": clip({"hidden_size": 512.0}, {"image_size": 224.0}),
    "numbers as text": clip({"num_hidden_layers": "12"}, {"patch_size": "32"}),
    "sides as a pair": clip(vision={"image_size": [224, 224], "patch_size": [32, 32]}),
    "sides by name": clip(vision={"image_size": {"height": 224, "width": 224}}),
    "ids in lists": clip({"eos_token_id": [49407], "bos_token_id": [49406]}),
    "null for the usual": clip(
        dict.fromkeys(["hidden_size", "eos_token_id", "pad_token_id", "layer_norm_eps"]),
        dict.fromkeys(["image_size", "hidden_act", "num_channels"]),
        projection_dim=None,
    ),
    "no sections": {"model_type": "clip", "text_config": None, "vision_config": None},
    "an empty older section": clip(text_config_dict={}, vision_config_dict=None),
    "a scale in a list": clip(logit_scale_init_value=[2.6592]),
    "how to train and to generate": clip(
        {"attention_dropout": 0.1, "dropout": 0.0, "top_k": 50, "torch_dtype": "float16"},
        {"initializer_factor": 1.0, "problem_type": None},
        architectures=["CLIPModel"],
        torch_dtype="float32",
        transformers_version="4.16.0.dev0",
    ),
    "names of code": clip(auto_map={"AutoModel": "evil.Model"}, _attn_implementation="evil/repo"),
}


@pytest.mark.parametrize("config", PLAIN_CLIP.values(), ids=PLAIN_CLIP)
def test_what_is_plain_for_clip(config):
    found, usual = map(hugging_face.clip_from_json, (config, CLIP))
    assert found.vision == usual.vision
    assert (found.text.width, found.text.layers, found.text.eps) == (512, 12, 1e-5)
    assert (found.text.bos, found.text.eos, found.text.pool) == (49406, 49407, "eos")
    assert found.text.causal is True and found.text.projection_bias is False
    switches = {"causal": 1, "projection_bias": 0}
    sizes = (*(vars(found.text) | switches).values(), *vars(found.vision).values())
    assert {type(value) for value in sizes} <= {int, float, str}


ODD_CLIP = {
    "no kind": ({}, "describes a None model, not a 'clip' one"),
    "another kind": ({"model_type": "blip"}, "describes a 'blip' model"),
    "a kind in a list": ({"model_type": ["clip"]}, r"describes a \['clip'\] model"),
    "a section that is a list": (clip() | {"text_config": [1]}, r"text_config=\[1\]"),
    "a section that is text": (clip() | {"vision_config": "base"}, "vision_config='base'"),
    "an older section that is a list": (clip(text_config_dict=[1]), "text_config_dict="),
    "a text tower of BERT": (clip({"model_type": "bert"}), "text_config.model_type='bert'"),
    "an image tower of ViT": (clip(vision={"model_type": "vit"}), "vision_config.model_type='vit'"),
    "10**9 layers": (
        clip({"num_hidden_layers": 1e9}),
        "text_config.num_hidden_layers=1000000000.0",
    ),
    "10**9 layers in the other": (clip(vision={"num_hidden_layers": 10**9}), "from 1 to 1000"),
    "a picture of 10**9 pixels": (clip(vision={"image_size": 1e9}), "image_size=.* to 8192"),
    "no layers": (clip({"num_hidden_layers": 0}), "num_hidden_layers=0 "),
    "a negative width": (clip({"hidden_size": -512}), "hidden_size=-512 "),
    "an enormous width": (clip({"hidden_size": 2**40}), "hidden_size="),
    "half a width": (clip({"hidden_size": 512.5}), r"hidden_size=512\.5 "),
    "an enormous vocabulary": (clip({"vocab_size": 2**31}), "vocab_size="),
    "no heads": (clip({"num_attention_heads": 0}), "num_attention_heads=0 "),
    "heads that do not divide": (
        clip({"num_attention_heads": 7}),
        "text_config.num_attention_heads=7 .* a divisor of the width 512",
    ),
    "a width that is true": (clip({"hidden_size": True}), "hidden_size=True "),
    "a width that is text": (clip({"hidden_size": "base"}), "hidden_size='base' "),
    "a picture that is not square": (clip(vision={"image_size": [224, 336]}), "image_size="),
    "sides of three": (clip(vision={"image_size": [224] * 3}), "image_size="),
    "no sides": (clip(vision={"image_size": []}), r"image_size=\[\]"),
    "patches larger than the picture": (
        clip(vision={"patch_size": 300}),
        "patch_size=300 .* a part of 224 pixels",
    ),
    "patches of nothing": (clip(vision={"patch_size": 0}), "patch_size=0 "),
    "several ends": (clip({"eos_token_id": [49407, 2]}), r"eos_token_id=\[49407, 2\]"),
    "a projection into nothing": (clip(projection_dim=0), "projection_dim=0 "),
    "an epsilon in a list": (clip({"layer_norm_eps": [1e-5]}), "layer_norm_eps="),
    "a negative epsilon": (clip({"layer_norm_eps": -1}), "layer_norm_eps=-1 "),
    "an activation of no name": (clip({"hidden_act": "swiglu"}), "hidden_act='swiglu' .* gelu"),
    "an activation in a list": (clip({"hidden_act": ["gelu"]}), "hidden_act="),
    "another channel": (clip(vision={"num_channels": 4}), "vision_config.num_channels=4 .*not 3"),
    "relative positions": (
        clip({"position_embedding_type": "relative_key"}),
        "position_embedding_type='relative_key'",
    ),
    "shared keys": (clip({"num_key_value_heads": 4}), "num_key_value_heads=4"),
    "a decoder across": (clip({"add_cross_attention": True}), "add_cross_attention=True"),
    "padding that is hidden": (clip({"use_attention_mask": True}), "use_attention_mask=True"),
    "heads cut off": (clip(vision={"pruned_heads": {"0": [1]}}), "pruned_heads="),
    "weights of few bits": (clip(quantization_config={"bits": 4}), "quantization_config="),
}


@pytest.mark.parametrize(("config", "message"), ODD_CLIP.values(), ids=ODD_CLIP)
def test_what_is_not_this_clip(config, message):
    with pytest.raises(UserError, match=message):
        hugging_face.clip_from_json(config)


PLAIN_OPEN_CLIP = {
    "whole floats": VIT | {"embed_dim": 1024.0},
    "fields that are off": VIT | {"custom_text": False, "tomorrow": None},
    "how to train": VIT | {"init_logit_scale": 2.6592, "output_dict": True},
    "what all towers have": VIT
    | {
        "text_cfg": RN50["text_cfg"]
        | {"pool_type": "argmax", "proj_type": "linear", "norm_kwargs": {}, "embed_cls": False},
        "vision_cfg": VIT["vision_cfg"]
        | {"pool_type": "tok", "patch_dropout": 0.5, "pos_embed_type": "learnable"},
    },
    "a ratio": VIT | {"vision_cfg": VIT["vision_cfg"] | {"mlp_ratio": "4.0"}},
    "a side as a pair": VIT | {"vision_cfg": VIT["vision_cfg"] | {"image_size": [224, 224]}},
}


@pytest.mark.parametrize("model", PLAIN_OPEN_CLIP.values(), ids=PLAIN_OPEN_CLIP)
def test_what_is_plain_for_open_clip(model):
    found = open_clip.clip_from_json({"model_cfg": model})
    assert found == open_clip.clip_from_json({"model_cfg": VIT})


def in_vision(**fields):
    return VIT | {"vision_cfg": VIT["vision_cfg"] | fields}


def in_text(**fields):
    return VIT | {"text_cfg": VIT["text_cfg"] | fields}


ODD_OPEN_CLIP = {
    "no width": (VIT | {"embed_dim": None}, "lacks model_cfg.embed_dim"),
    "no text tower": (VIT | {"text_cfg": None}, "lacks model_cfg.text_cfg, an object"),
    "a tower that is a name": (VIT | {"vision_cfg": "ViT-B-32"}, "vision_cfg='ViT-B-32'"),
    "10**9 layers": (in_vision(layers=1e9), "vision_cfg.layers="),
    "three stages": (in_vision(layers=[3, 4, 6]), "a list of 4 whole numbers"),
    "an enormous stage": (in_vision(layers=[3, 4, 6, 10**9]), "from 1 to 100"),
    "a residual network of odd size": (
        in_vision(layers=[3, 4, 6, 3], image_size=225),
        "image_size=225 .* a multiple of 32",
    ),
    "no patches": (in_vision(patch_size=None), "lacks model_cfg.vision_cfg.patch_size"),
    "heads of odd width": (in_vision(head_width=7), "head_width=7 .* a divisor of 768"),
    "a ratio of 10**9": (in_vision(mlp_ratio=1e9), "mlp_ratio="),
    "a negative ratio": (in_text(mlp_ratio=-4), "text_cfg.mlp_ratio=-4"),
    "averaged patches": (in_vision(pool_type="avg"), "vision_cfg.pool_type='avg'"),
    "positions of waves": (in_vision(pos_embed_type="sin_cos_2d"), "pos_embed_type="),
    "norms of their own": (in_vision(norm_kwargs={"eps": 1e-6}), "norm_kwargs="),
    "an attentional pool": (in_vision(attentional_pool=True), "attentional_pool=True"),
    "no causal mask": (in_text(no_causal_mask=True), "text_cfg.no_causal_mask=True"),
    "pooled at the last token": (in_text(pool_type="last"), "text_cfg.pool_type='last'"),
    "a text model of the hub": (in_text(hf_model_name="evil/model"), "hf_model_name='evil/model'"),
    "a bias of logits": (VIT | {"init_logit_bias": -10}, "init_logit_bias=-10"),
    "another text tower": (VIT | {"multimodal_cfg": {}}, "multimodal_cfg="),
    "activation that is text": (VIT | {"quick_gelu": "sometimes"}, "quick_gelu='sometimes'"),
}


@pytest.mark.parametrize(("model", "message"), ODD_OPEN_CLIP.values(), ids=ODD_OPEN_CLIP)
def test_what_is_not_this_open_clip(model, message):
    with pytest.raises(UserError, match=message):
        open_clip.clip_from_json({"model_cfg": model})


GPT2, GPTJ = {"model_type": "gpt2"}, {"model_type": "gptj"}
PLAIN_LM = {
    "whole floats": GPT2 | {"n_embd": 768.0},
    "numbers as text": GPT2 | {"n_layer": "12"},
    "the end in a list": GPT2 | {"eos_token_id": [50256]},
    "null for the usual": GPT2 | dict.fromkeys(["n_inner", "n_layer", "eos_token_id"]),
    "how to train and to generate": GPT2
    | {"n_ctx": 1024, "attn_pdrop": 0.1, "summary_type": "cls_index", "task_specific_params": {}},
    "another way to round": GPT2 | {"reorder_and_upcast_attn": True},
}


@pytest.mark.parametrize("config", PLAIN_LM.values(), ids=PLAIN_LM)
def test_what_is_plain_for_language_models(config):
    assert lm_from_json(config) == KNOWN["openai-community/gpt2"]


ODD_LM = {
    "no kind": ({}, "describes a None model"),
    "a kind in a list": (
        {"model_type": ["gpt2"]},
        "language models that can be read are gpt2, gptj",
    ),
    "10**9 layers": (GPT2 | {"n_layer": 1e9}, "n_layer=1000000000.0 .* from 1 to 1000"),
    "an enormous width": (GPT2 | {"n_embd": 10**9}, "n_embd="),
    "no heads": (GPT2 | {"n_head": 0}, "n_head=0"),
    "heads that do not divide": (GPT2 | {"n_head": 7}, "n_head=7 .* a divisor of the width 768"),
    "several ends": (GPT2 | {"eos_token_id": [50256, 0]}, r"eos_token_id=\[50256, 0\]"),
    "an end outside": (GPT2 | {"eos_token_id": 50257}, "eos_token_id=50257 .* 50257 ids"),
    "an end before the first": (GPT2 | {"eos_token_id": -1}, "eos_token_id=-1"),
    "an activation of no name": (GPT2 | {"activation_function": "swish"}, "='swish'"),
    "scores by layer": (GPT2 | {"scale_attn_by_inverse_layer_idx": True}, "inverse_layer_idx=True"),
    "scores as they are": (GPT2 | {"scale_attn_weights": False}, "scale_attn_weights=False"),
    "a head of its own": (GPT2 | {"tie_word_embeddings": False}, "tie_word_embeddings=False"),
    "a decoder across": (GPT2 | {"add_cross_attention": True}, "add_cross_attention=True"),
    "heads cut off": (GPT2 | {"pruned_heads": {"0": [1]}}, "pruned_heads="),
    "weights of few bits": (GPT2 | {"quantization_config": {"bits": 4}}, "quantization_config="),
    "turned by nothing": (GPTJ | {"rotary_dim": None}, "rotary_dim=None"),
    "turned by odd channels": (GPTJ | {"rotary_dim": 63}, "rotary_dim=63 .* an even number"),
    "turned beyond a head": (GPTJ | {"rotary_dim": 512}, "rotary_dim=512 .* a head's 256"),
    "not turned": (GPTJ | {"rotary": False}, "rotary=False"),
    "stretched angles": (GPTJ | {"rope_scaling": {"factor": 2}}, "rope_scaling="),
    "tied": (GPTJ | {"tie_word_embeddings": True}, "tie_word_embeddings=True"),
}


@pytest.mark.parametrize(("config", "message"), ODD_LM.values(), ids=ODD_LM)
def test_what_is_not_this_language_model(config, message):
    with pytest.raises(UserError, match=message):
        lm_from_json(config)


PLAIN_UNET = {
    "whole floats": {"sample_size": 64.0, "norm_num_groups": 32.0},
    "numbers as text": {"cross_attention_dim": "768"},
    "a side as a pair": {"sample_size": [64, 64]},
    "truth as a number": {"use_linear_projection": 0},
    "null for the usual": {"sample_size": None, "block_out_channels": None},
    "heads of each level": {"attention_head_dim": [8.0, 8, 8, "8"]},
    "what softmax does anyway": {"upcast_attention": True},
}


@pytest.mark.parametrize("changes", PLAIN_UNET.values(), ids=PLAIN_UNET)
def test_what_is_plain_for_unets(changes):
    found = UNetConfig.from_dict(changes)
    assert found.heads == (8, 8, 8, 8)
    assert found == UNetConfig(attention_head_dim=found.attention_head_dim)


ODD_UNET = {
    "10**9 layers": ({"layers_per_block": 1e9}, "layers_per_block=1000000000.0"),
    "a side of 10**9": ({"sample_size": 10**9}, "sample_size="),
    "a side that is not square": ({"sample_size": [64, 96]}, r"sample_size=\[64, 96\]"),
    "no levels": ({"block_out_channels": []}, "block_out_channels"),
    "10,000 levels": ({"block_out_channels": [32] * 10_000}, "a list of up to 8 numbers"),
    "channels that are text": ({"block_out_channels": "320"}, "block_out_channels='320'"),
    "channels in lists": ({"block_out_channels": [[320]] * 4}, "block_out_channels="),
    "enormous channels": ({"block_out_channels": [320, 10**9]}, "block_out_channels="),
    "no groups": ({"norm_num_groups": 0}, "norm_num_groups=0"),
    "no heads": ({"attention_head_dim": 0}, "attention_head_dim=0"),
    "heads that are true": ({"attention_head_dim": True}, "attention_head_dim=True"),
    "kinds of blocks that are numbers": ({"down_block_types": [1, 2, 3, 4]}, "down_block_types="),
    "kinds of blocks that are text": ({"up_block_types": "UpBlock2D"}, "up_block_types="),
    "a projection that is text": (
        {"use_linear_projection": "both"},
        "use_linear_projection='both'",
    ),
    "no width of texts": ({"cross_attention_dim": 0}, "cross_attention_dim=0"),
    "a field of tomorrow": ({"tomorrow": {"a": [1]}}, "tomorrow="),
}


@pytest.mark.parametrize(("changes", "message"), ODD_UNET.values(), ids=ODD_UNET)
def test_what_is_not_this_unet(changes, message):
    with pytest.raises(UserError, match=message):
        UNetConfig.from_dict(changes)


ODD_VAE = {
    "no scale": ({"scaling_factor": 0}, "scaling_factor=0"),
    "a scale that is text": ({"scaling_factor": "auto"}, "scaling_factor='auto'"),
    "a scale in a list": ({"scaling_factor": [0.18]}, "scaling_factor="),
    "10**9 latents": ({"latent_channels": 10**9}, "latent_channels="),
    "100 levels": ({"block_out_channels": [32] * 100}, "a list of up to 8 numbers"),
    "no groups": ({"norm_num_groups": 0}, "norm_num_groups=0"),
}


@pytest.mark.parametrize(("changes", "message"), ODD_VAE.values(), ids=ODD_VAE)
def test_what_is_not_this_autoencoder(changes, message):
    with pytest.raises(UserError, match=message):
        VAEConfig.from_dict(changes)


def test_null_for_the_usual_autoencoder():
    assert VAEConfig.from_dict({"scaling_factor": None, "down_block_types": None}) == VAEConfig()


def test_a_thousand_layers_are_not_traced_one_by_one():
    config = hugging_face.clip_from_json(clip({"num_hidden_layers": 1000}))
    shapes = abstract_params(config)["text"]
    assert len(shapes) == 1000 + 4
    assert shapes["block_999"] == shapes["block_0"]


def test_the_largest_picture_costs_no_memory():
    config = hugging_face.clip_from_json(clip(vision={"image_size": 8192, "patch_size": 1024}))
    shapes = abstract_params(config)
    assert shapes["vision"]["position_embedding"].shape == (65, 768)
    assert {type(leaf) for leaf in jax.tree.leaves(shapes)} == {jax.ShapeDtypeStruct}


@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_scale_of_shape_one(tmp_path, shape):
    save_clip(load_clip("pocket"), tmp_path)
    file = tmp_path / "model.safetensors"
    tensors = dict(read_tensors(tmp_path))
    write_tensors(file, tensors | {"logit_scale": tensors["logit_scale"].reshape(shape)}, {})
    found, wanted = load_clip(str(tmp_path)), load_clip("pocket")
    assert found.params["logit_scale"] == wanted.params["logit_scale"]
    assert found.fingerprint == wanted.fingerprint


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("unet/config.json", {"layers_per_block": 1e9}),
        ("vae/config.json", {"scaling_factor": None, "latent_channels": [4, 5]}),
        ("text_encoder/config.json", {"num_hidden_layers": 1e9}),
    ],
)
def test_the_sentence_names_the_file(tmp_path, file, changes):
    save_stable_diffusion(load_stable_diffusion("pocket"), tmp_path)
    write_json(tmp_path / file, read_json(tmp_path / file) | changes)
    (field,) = (name for name, value in changes.items() if value is not None)
    with pytest.raises(UserError, match=f"{field}=.* in '.*{file}' is not .*: copy the file again"):
        load_stable_diffusion(str(tmp_path))


def test_odd_words_and_texts_stay_in_one_sentence(tmp_path):
    content = json.dumps({"model_type": "clip\x1b[2J\n" * 1000})
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(UserError) as error:
        hugging_face.clip_from_json(read_json(tmp_path / "config.json"))
    assert "\n" not in str(error.value) and "\x1b" not in str(error.value)
