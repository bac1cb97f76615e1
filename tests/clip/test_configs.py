"""Configurations of both layouts, there and back."""

import dataclasses

import pytest

from common.clip import hugging_face, open_clip
from common.errors import UserError

# What matters of openai/clip-vit-base-patch16 and of Stable Diffusion 2.1's text encoder.
BASE_16 = {
    "model_type": "clip",
    "projection_dim": 512,
    "text_config": {"bos_token_id": 0, "eos_token_id": 2},
    "text_config_dict": None,
    "vision_config": {"patch_size": 16, "dropout": 0.0},
    "vision_config_dict": None,
}
SD_21 = {
    "eos_token_id": 2,
    "hidden_act": "gelu",
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "layer_norm_eps": 1e-05,
    "model_type": "clip_text_model",
    "num_attention_heads": 16,
    "num_hidden_layers": 23,
    "projection_dim": 512,
    "vocab_size": 49408,
}
# timm's and LAION's entries for RN50 and H/14.
RN50 = {
    "model_cfg": {
        "embed_dim": 1024,
        "quick_gelu": True,
        "vision_cfg": {
            "image_size": 224,
            "layers": [3, 4, 6, 3],
            "width": 64,
            "patch_size": None,
        },
        "text_cfg": {
            "context_length": 77,
            "vocab_size": 49408,
            "width": 512,
            "heads": 8,
            "layers": 12,
        },
    }
}
H14 = {
    "model_cfg": {
        "embed_dim": 1024,
        "vision_cfg": {
            "image_size": 224,
            "layers": 32,
            "width": 1280,
            "head_width": 80,
            "patch_size": 14,
        },
        "text_cfg": RN50["model_cfg"]["text_cfg"] | {"width": 1024, "heads": 16, "layers": 24},
    },
    "preprocess_cfg": {"mean": [0.48145466, 0.4578275, 0.40821073]},
}


def test_hugging_face_fills_in_what_files_leave_out():
    config = hugging_face.clip_from_json(BASE_16)
    assert dataclasses.astuple(config.vision) == (
        224, 16, 768, 12, 12, 3072, 512, "quick_gelu", 1e-5,
    )  # fmt: skip
    text = config.text
    assert (text.width, text.layers, text.heads, text.mlp_width) == (512, 12, 8, 2048)
    assert (text.bos, text.eos, text.pool, text.projection) == (49406, 49407, "argmax", 512)


def test_stable_diffusion_2():
    text = hugging_face.text_from_json(SD_21)
    assert (text.width, text.layers, text.activation) == (1024, 23, "gelu")
    assert (text.projection, text.pool) == (None, "argmax")
    assert hugging_face.text_from_json(hugging_face.text_to_json(text)) == text


@pytest.mark.parametrize("eos", [2, 49407])
def test_hugging_face_round_trip(eos):
    config = hugging_face.clip_from_json(BASE_16 | {"text_config": {"eos_token_id": eos}})
    assert hugging_face.clip_from_json(hugging_face.clip_to_json(config)) == config


def test_open_clip():
    config = open_clip.clip_from_json(H14)
    assert (config.vision.heads, config.vision.mlp_width) == (16, 5120)
    assert config.vision.activation == config.text.activation == "gelu"
    assert (config.text.heads, config.text.projection, config.text.eos) == (16, 1024, 49407)
    resnet = open_clip.clip_from_json(RN50)
    assert (resnet.vision.layers, resnet.vision.heads) == ((3, 4, 6, 3), 32)
    assert resnet.text.activation == "quick_gelu"
    assert open_clip.clip_from_json(open_clip.clip_to_json(resnet)) == resnet


@pytest.mark.parametrize(
    ("section", "entry", "message"),
    [
        (
            "text_cfg",
            {"hf_model_name": "roberta-base"},
            "hf_model_name='roberta-base' in .* is not a field",
        ),
        ("vision_cfg", {"timm_model_name": "vit"}, "timm_model_name='vit' in .* is not a field"),
    ],
)
def test_open_clip_models_that_are_not_clips(section, entry, message):
    model = H14["model_cfg"]
    changed = {"model_cfg": model | {section: model[section] | entry}}
    with pytest.raises(UserError, match=message):
        open_clip.clip_from_json(changed)


def test_open_clip_without_an_entry():
    with pytest.raises(UserError, match="lacks model_cfg, an object"):
        open_clip.clip_from_json({})


def test_unknown_activation():
    with pytest.raises(UserError, match=r"hidden_act='relu' in .* is not one of gelu, quick"):
        hugging_face.text_from_json(SD_21 | {"hidden_act": "relu"})
