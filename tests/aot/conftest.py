"""Models that are nothing but their configuration files, small enough to compile in seconds."""

import json

import pytest

from configs.mcti import get_config

TEXT = {
    "model_type": "clip_text_model",
    "vocab_size": 600,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "eos_token_id": 2,
}
VISION = {
    "model_type": "clip_vision_model",
    "image_size": 16,
    "patch_size": 8,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
UNET = {
    "sample_size": 4,
    "block_out_channels": [16],
    "down_block_types": ["CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D"],
    "layers_per_block": 1,
    "attention_head_dim": 2,
    "cross_attention_dim": 32,
    "norm_num_groups": 4,
}
VAE = {"block_out_channels": [8, 8], "layers_per_block": 1, "norm_num_groups": 4}
SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
CLIP = {
    "model_type": "clip",
    "projection_dim": 24,
    "text_config": TEXT,
    "vision_config": VISION,
}


@pytest.fixture(scope="session")
def write_models(tmp_path_factory):
    """Writes `sd/` and `clip/` with some of the U-Net's fields changed; gives the folder."""

    def write(**unet):
        folder = tmp_path_factory.mktemp("models")
        files = {
            "clip/config.json": CLIP,
            "sd/unet/config.json": UNET | unet,
            "sd/vae/config.json": VAE,
            "sd/text_encoder/config.json": TEXT,
            "sd/scheduler/scheduler_config.json": SCHEDULE,
        }
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(json.dumps(content), encoding="utf-8")
        return folder

    return write


@pytest.fixture(scope="session")
def models(write_models):
    return write_models()


@pytest.fixture
def settings(models):
    """A config for the small models, changed by "key=value,...", as a command would read it."""

    def make(arg="", folder=models):
        where = f"model={folder}/sd,clip={folder}/clip,data=none:,classes=12,shots=2"
        return get_config(f"{where},{arg}" if arg else where).lock()

    return make
