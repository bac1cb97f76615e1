import pytest

from common.diffusion import UNetConfig, VAEConfig
from common.errors import UserError

# unet/config.json as published (the fields that files of that age hold).
SD_1_5 = {
    "_class_name": "UNet2DConditionModel",
    "_diffusers_version": "0.6.0",
    "act_fn": "silu",
    "attention_head_dim": 8,
    "block_out_channels": [320, 640, 1280, 1280],
    "center_input_sample": False,
    "cross_attention_dim": 768,
    "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
    "downsample_padding": 1,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "in_channels": 4,
    "layers_per_block": 2,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-05,
    "norm_num_groups": 32,
    "out_channels": 4,
    "sample_size": 64,
    "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
}
SD_2_1 = SD_1_5 | {
    "_diffusers_version": "0.10.0.dev0",
    "attention_head_dim": [5, 10, 20, 20],
    "cross_attention_dim": 1024,
    "dual_cross_attention": False,
    "num_class_embeds": None,
    "only_cross_attention": False,
    "sample_size": 96,
    "upcast_attention": True,
    "use_linear_projection": True,
}


def test_published_configurations():
    assert UNetConfig.from_dict(SD_1_5) == UNetConfig()
    assert UNetConfig.from_dict(SD_1_5).heads == (8, 8, 8, 8)
    assert UNetConfig.from_dict(SD_2_1).heads == (5, 10, 20, 20)
    assert UNetConfig.from_dict(SD_2_1).use_linear_projection


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("addition_embed_type", "text_time"),
        ("num_class_embeds", 1000),
        ("class_embed_type", "timestep"),
        ("act_fn", "gelu"),
        ("flip_sin_to_cos", False),
        ("only_cross_attention", True),
        ("transformer_layers_per_block", [1, 2, 10]),
        ("num_attention_heads", 8),
        ("mid_block_type", None),
        ("layers_per_block", [2, 2, 2, 2]),
        ("cross_attention_dim", [768, 768, 768, 768]),
        ("attention_head_dim", [5, 10]),
        ("attention_head_dim", 7),
        ("norm_num_groups", 33),
        ("down_block_types", ["AttnDownBlock2D"] * 4),
        ("up_block_types", ["UpBlock2D"] * 3),
        ("a_field_of_tomorrow", "anything"),
    ],
)
def test_unsupported_unets_are_refused_by_field_and_value(field, value):
    shown = tuple(value) if isinstance(value, list) else value
    with pytest.raises(UserError) as error:
        UNetConfig.from_dict(SD_1_5 | {field: value})
    assert field in str(error.value)
    assert repr(value) in str(error.value) or str(shown) in str(error.value)


def test_switched_off_fields_of_tomorrow_do_no_harm():
    config = UNetConfig.from_dict(SD_1_5 | {"a_field_of_tomorrow": None, "another": False})
    assert config == UNetConfig()


@pytest.mark.parametrize("raw", [SD_1_5, SD_2_1])
def test_round_trip(raw):
    config = UNetConfig.from_dict(raw)
    written = config.to_dict()
    assert written["_class_name"] == raw["_class_name"]
    assert written["attention_head_dim"] == raw["attention_head_dim"]
    assert UNetConfig.from_dict(written) == config


def test_vae_defaults_of_files_that_lack_newer_fields():
    raw = {
        "_class_name": "AutoencoderKL",
        "block_out_channels": [128, 256, 512, 512],
        "layers_per_block": 2,
        "latent_channels": 4,
    }
    config = VAEConfig.from_dict(raw)
    assert config.scaling_factor == 0.18215
    assert config.downsampling == 8
    assert VAEConfig.from_dict(config.to_dict() | {"force_upcast": True}) == config


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("shift_factor", 0.1159),
        ("use_quant_conv", False),
        ("latents_mean", [0.0]),
        ("down_block_types", ["DownEncoderBlock2D"]),
        ("norm_num_groups", 33),
    ],
)
def test_unsupported_vaes_are_refused(field, value):
    with pytest.raises(UserError, match=field):
        VAEConfig.from_dict({field: value})
