import dataclasses
import json

import jax
import numpy as np
import pytest

from common.diffusion import load_stable_diffusion, save_stable_diffusion
from common.errors import UserError
from common.weights.diffusion import VAE, unet_table, vae_to_flax
from common.weights.files import read_tensors, write_tensors
from common.weights.table import to_flax, to_source

STEM = "diffusion_pytorch_model"


@pytest.fixture
def directory(model, tmp_path):
    save_stable_diffusion(model, tmp_path)
    return tmp_path


def edit(file, **changes):
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | changes))


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_round_trip(version, models, tmp_path):
    model = models[version]
    save_stable_diffusion(model, tmp_path)
    loaded = load_stable_diffusion(str(tmp_path))
    assert loaded.modules == model.modules
    assert loaded.tokenizer(["a", "dog"]).tolist() == model.tokenizer(["a", "dog"]).tolist()
    jax.tree.map(np.testing.assert_array_equal, loaded.params, model.params)
    assert (loaded.image_size, loaded.latent_shape) == (16, (8, 8, 4))


@pytest.mark.parametrize(("named", "length"), [(100, 100), (90, 90), (500, 100), (None, 77)])
def test_prompts_are_filled_up_to_the_length_that_files_name(model, tmp_path, named, length):
    """As diffusers' pipeline does; a text encoder of 248 positions is LongCLIP's."""
    tower = model.text_tower
    tower = tower.clone(config=dataclasses.replace(tower.config, positions=100))
    table = np.resize(model.params["text"]["position_embedding"], (100, tower.config.width))
    params = model.params | {"text": model.params["text"] | {"position_embedding": table}}
    modules = dataclasses.replace(model.modules, text_tower=tower)
    longer = dataclasses.replace(model, modules=modules, params=params)
    save_stable_diffusion(longer, tmp_path)
    edit(tmp_path / "tokenizer/tokenizer_config.json", model_max_length=named)
    loaded = load_stable_diffusion(str(tmp_path), networks=False)
    assert loaded.tokenizer(["a dog"]).shape == (1, length)


def test_fingerprint_names_weights_and_configuration(model, directory):
    first = load_stable_diffusion(str(directory)).fingerprint
    assert load_stable_diffusion(str(directory)).fingerprint == first
    edit(directory / "scheduler/scheduler_config.json", beta_end=0.02)
    second = load_stable_diffusion(str(directory)).fingerprint
    changed = jax.tree.map(np.array, model.params)
    changed["vae"]["quant"]["bias"][0] += 1e-3
    save_stable_diffusion(dataclasses.replace(model, params=changed), directory)
    third = load_stable_diffusion(str(directory)).fingerprint
    assert len({first, second, third}) == 3


def test_options_reach_the_networks(directory):
    loaded = load_stable_diffusion(
        str(directory), jax.numpy.bfloat16, attention="fused", remat="block"
    )
    assert (loaded.unet.attention, loaded.unet.remat) == ("fused", "block")
    assert {x.dtype for x in jax.tree.leaves(loaded.params)} == {np.dtype("bfloat16")}


def test_names_of_sd_1_x_are_those_of_diffusers(model):
    tensors = to_source(unet_table(linear_projection=False), model.params["unet"])
    expected = {
        "conv_in.weight": (16, 4, 3, 3),
        "time_embedding.linear_1.weight": (64, 16),
        "down_blocks.0.resnets.0.norm1.weight": (16,),
        "down_blocks.0.downsamplers.0.conv.bias": (16,),
        "down_blocks.1.resnets.0.conv_shortcut.weight": (32, 16, 1, 1),
        "down_blocks.1.attentions.0.proj_in.weight": (32, 32, 1, 1),
        "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight": (32, 24),
        "up_blocks.0.attentions.1.transformer_blocks.0.ff.net.0.proj.weight": (256, 32),
        "up_blocks.0.attentions.1.transformer_blocks.0.attn1.to_out.0.bias": (32,),
        "up_blocks.0.upsamplers.0.conv.weight": (32, 32, 3, 3),
        "conv_norm_out.bias": (16,),
    }
    assert {name: tensors[name].shape for name in expected} == expected


def test_tables_are_bijective(pocket_unet, small_vae):
    _, params = pocket_unet
    for linear in (False, True):
        table = unet_table(linear)
        back = to_flax(table, to_source(table, params))
        jax.tree.map(np.testing.assert_array_equal, back, params)
    _, params = small_vae
    jax.tree.map(np.testing.assert_array_equal, vae_to_flax(to_source(VAE, params)), params)


@pytest.mark.parametrize("as_convolution", [False, True])
def test_vae_files_of_2022(as_convolution, model, directory):
    """They call the attention's maps query, key, value and proj_attn."""
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    tensors = {}
    for name, tensor in read_tensors(directory / "vae", STEM).items():
        if ".attentions." in name:
            for new, former in old.items():
                name = name.replace(f".{new}.", f".{former}.")
            if as_convolution and tensor.ndim == 2:
                tensor = tensor[:, :, None, None]
        tensors[name] = np.array(tensor)
    assert "encoder.mid_block.attentions.0.proj_attn.weight" in tensors
    write_tensors(directory / f"vae/{STEM}.safetensors", tensors, {})
    loaded = load_stable_diffusion(str(directory))
    jax.tree.map(np.testing.assert_array_equal, loaded.params, model.params)


def test_missing_files_are_named(directory):
    (directory / "scheduler/scheduler_config.json").unlink()
    with pytest.raises(UserError, match=r"scheduler_config\.json' is missing"):
        load_stable_diffusion(str(directory))


def test_missing_weights_are_named(directory):
    tensors = dict(read_tensors(directory / "unet", STEM))
    del tensors["mid_block.resnets.0.conv1.bias"]
    copied = {name: np.array(x) for name, x in tensors.items()}
    write_tensors(directory / f"unet/{STEM}.safetensors", copied, {})
    with pytest.raises(UserError, match="unet/mid/resnet_0/conv1/bias"):
        load_stable_diffusion(str(directory))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"in_channels": 9}, "maps 9 channels to 4.*inpainting"),
        ({"cross_attention_dim": 32}, "width 32, the text encoder makes 24"),
        ({"addition_embed_type": "text_time"}, "addition_embed_type='text_time'"),
    ],
)
def test_other_kinds_of_models_are_refused(changes, sentence, directory):
    edit(directory / "unet/config.json", **changes)
    with pytest.raises(UserError, match=sentence):
        load_stable_diffusion(str(directory))
