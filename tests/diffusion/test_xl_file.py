"""Stable Diffusion XL in one file: equal weights, sizes from shapes, and what no shape tells."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from common.convert import convert
from common.diffusion import load_stable_diffusion, save_stable_diffusion
from common.diffusion.known import KNOWN, describe_stable_diffusion, local_text_widths
from common.diffusion.single_file import open_single_file
from common.errors import UserError
from common.weights.clip import HF_TEXT_TOWER, OPEN_CLIP_PROJECTED_TEXT_TOWER
from common.weights.files import read_tensors, write_tensors
from common.weights.table import to_source
from common.weights.web_ui import unet_table, vae_table
from tests.compare import same
from tests.diffusion.web_ui import without
from tests.diffusion.xl import xl_architecture, xl_model

pytestmark = pytest.mark.usefixtures("shapes_found_once")
ONE = np.zeros((2, 2), np.float32)


def wide(tokenizer):
    """Sizes with heads of 64 channels, which shapes do not tell."""
    sizes = xl_architecture(tokenizer)
    text = replace(sizes.text, width=64, heads=1, mlp_width=64, pad=tokenizer.eos, pool="argmax")
    second = replace(sizes.text_2, width=128, heads=2)
    unet = replace(
        sizes.unet,
        sample_size=128,
        block_out_channels=(64, 128, 128),
        attention_head_dim=(1, 2, 2),
        cross_attention_dim=192,
        norm_num_groups=32,
    )
    vae = replace(sizes.vae, sample_size=1024, block_out_channels=(32, 64), norm_num_groups=32)
    return replace(sizes, unet=unet, vae=vae, text=text, text_2=second)


@pytest.fixture(scope="module")
def model(tokenizer):
    return xl_model(tokenizer, wide(tokenizer))


def in_one_file(model):
    """The tensors of a model by the keys of web UIs, with what else their files hold."""
    config = model.unet.config
    attends = [kind.startswith("CrossAttn") for kind in config.up_block_types]
    parts = (
        ("model.diffusion_model.", unet_table(config.layers_per_block, attends, True), "unet"),
        ("first_stage_model.", vae_table(len(model.vae.config.block_out_channels)), "vae"),
        ("conditioner.embedders.0.transformer.", HF_TEXT_TOWER, "text"),
        ("conditioner.embedders.1.model.", OPEN_CLIP_PROJECTED_TEXT_TOWER, "text_2"),
    )
    tensors = {
        f"{prefix}{key}": x
        for prefix, table, name in parts
        for key, x in to_source(table, model.params[name]).items()
    }
    positions = "conditioner.embedders.0.transformer.text_model.embeddings.position_ids"
    return tensors | {
        positions: np.arange(77)[None],
        "conditioner.embedders.1.model.logit_scale": np.array(4.6, np.float32),
        "denoiser.sigmas": np.ones(1000, np.float32),
    }


def write(model, folder, tensors=None):
    model.tokenizer.save(folder / "tokenizer")
    write_tensors(folder / "xl.safetensors", tensors or in_one_file(model))
    return folder / "xl.safetensors"


@pytest.fixture(scope="module")
def tensors(model):
    return in_one_file(model)


def test_a_file_is_what_its_folder_is(model, tensors, tmp_path):
    save_stable_diffusion(model, tmp_path / "folder")
    file = write(model, tmp_path, tensors)
    loaded, folder = (load_stable_diffusion(str(x)) for x in (file, tmp_path / "folder"))
    assert same(loaded.params, model.params)
    assert loaded.modules == folder.modules and loaded.fingerprint == folder.fingerprint
    assert [x.pad for x in loaded.tokenizers] == [x.pad for x in folder.tokenizers]
    assert type(loaded) is type(folder)
    assert local_text_widths(str(file)) == local_text_widths(str(tmp_path / "folder")) == (64, 128)
    shapes = jax.tree.map(lambda x: x.shape, describe_stable_diffusion(str(file)).params)
    assert shapes == jax.tree.map(lambda x: x.shape, model.params)


def test_converted_it_is_read_by_its_folder(model, tensors, tmp_path):
    report = convert(str(write(model, tmp_path, tensors)), tmp_path / "out")
    assert same(load_stable_diffusion(str(tmp_path / "out")).params, model.params)
    keys = report["parts"]["unet"]["keys"]
    assert keys["label_emb.0.2.weight"]["to"] == ("added/linear_2/kernel",)
    deep = "middle_block.1.transformer_blocks.1.norm1.weight"
    assert keys[deep]["to"] == ("mid/transformer_0/block_1/norm1/scale",)
    assert report["parts"]["text_encoder_2"]["keys"]["text_projection"]["to"] == (
        "projection/kernel",
    )


@pytest.mark.parametrize(
    ("entries", "options", "prediction", "rescaled"),
    [
        ((), {}, "epsilon", False),
        (("v_pred",), {}, "v_prediction", False),
        (("v_pred", "ztsnr"), {}, "v_prediction", True),
        ((), {"prediction": "v_prediction"}, "v_prediction", False),
    ],
)
def test_what_it_predicts(model, tensors, tmp_path, entries, options, prediction, rescaled):
    empty = dict.fromkeys(entries, np.zeros(0, np.float32))
    file = write(model, tmp_path, tensors | empty)
    schedule = open_single_file(file, **options).architecture.schedule
    assert (schedule.prediction_type, schedule.rescale_betas_zero_snr) == (prediction, rescaled)


@pytest.mark.parametrize(("scaling", "prediction"), [("V", "v_prediction"), ("Eps", "epsilon")])
def test_the_yaml_of_web_uis_says_what_is_predicted(model, tensors, tmp_path, scaling, prediction):
    """They hold no `parameterization`, as AUTOMATIC1111's own sd_xl_v.yaml."""
    file = write(model, tmp_path, tensors)
    config = file.with_suffix(".yaml")
    modules = "          target: sgm.modules.diffusionmodules"
    weighting = f"      params:\n        weighting_config:\n{modules}.denoiser_weighting.X\n"
    text = f"{weighting}        scaling_config:\n{modules}.denoiser_scaling.{{}}Scaling\n"
    config.write_text(text.format(scaling))
    assert open_single_file(file).architecture.schedule.prediction_type == prediction
    config.write_text(text.format("EDM"))
    with pytest.raises(UserError, match=r"EDMScaling in .*yaml' is not one of Eps"):
        open_single_file(file)


def test_sizes_of_the_published_model(tokenizer, tmp_path, monkeypatch):
    """From shapes alone: the zeros take no memory."""
    known = KNOWN["stabilityai/stable-diffusion-xl-base-1.0"]
    described = describe_stable_diffusion("stabilityai/stable-diffusion-xl-base-1.0")
    zeros = jax.tree.map(lambda x: np.broadcast_to(np.float32(0), x.shape), described.params)
    monkeypatch.setattr(np, "asarray", lambda x, **_: x)
    monkeypatch.setattr(np, "concatenate", lambda parts, axis=0: _joined(parts, axis))
    tensors = in_one_file(replace(described, params=zeros))
    monkeypatch.undo()
    monkeypatch.setattr("common.diffusion.single_file.read_tensors", lambda _: tensors)
    tokenizer.save(tmp_path)
    opened = open_single_file(tmp_path / "x.safetensors").architecture
    assert (opened.unet, opened.vae, opened.schedule) == (known.unet, known.vae, known.schedule)
    special = {"bos": 0, "eos": 0, "pad": 0}
    for ours, theirs in ((opened.text, known.text), (opened.text_2, known.text_2)):
        assert replace(ours, **special) == replace(theirs, **special)


def _joined(parts, axis):
    shape = list(parts[0].shape)
    shape[axis] = sum(part.shape[axis] for part in parts)
    return np.broadcast_to(np.float32(0), shape)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda x: without(x, "first_stage_model."), "is a Stable Diffusion XL that lacks its vae"),
        (lambda x: without(x, "conditioner.embedders.1."), "XL that lacks its text_encoder_2"),
        (lambda x: x | {"conditioner.embedders.0.model.ln_final.weight": ONE}, "is a refiner"),
        (lambda x: without(x, "model.diffusion_model.label_emb"), "whose sizes can be told"),
        (
            lambda x: without(x, "conditioner.embedders.1.model.text_projection"),
            "whose sizes can be told",
        ),
        (
            lambda x: without(x, "model.diffusion_model.middle_block.1.transformer_blocks.1."),
            "lacks 20 entries",
        ),
        (lambda x: x | {"conditioner.embedders.1.model.visual.x": ONE}, "that this model does not"),
        (lambda x: x | {"edm_vpred.sigma_max": ONE, "v_pred": ONE}, "is a CosXL: give a Stable"),
        (lambda x: x | {"edm_mean": ONE, "edm_std": ONE}, "is a Playground 2.5: give a Stable"),
    ],
)
def test_what_is_refused(model, tensors, tmp_path, change, sentence):
    file = write(model, tmp_path, change(tensors))
    with pytest.raises(UserError, match=sentence):
        load_stable_diffusion(str(file))


@pytest.mark.reference
def test_diffusers_reads_the_file_alike(model, tmp_path):
    pytest.importorskip("torch")
    diffusers = pytest.importorskip("diffusers")
    save_stable_diffusion(model, tmp_path / "config")
    file = write(model, tmp_path)
    kinds = {"unet": diffusers.UNet2DConditionModel, "vae": diffusers.AutoencoderKL}
    for part, kind in kinds.items():
        theirs = kind.from_single_file(str(file), config=str(tmp_path / "config"), subfolder=part)
        ours = read_tensors(tmp_path / "config" / part, "diffusion_pytorch_model")
        state = theirs.state_dict()
        assert state.keys() == ours.keys()
        for key, x in ours.items():
            np.testing.assert_array_equal(state[key].numpy(), x, key)
    pipeline = diffusers.StableDiffusionXLPipeline.from_single_file(
        str(file), config=str(tmp_path / "config"), local_files_only=True, add_watermarker=False
    )
    for part in ("text_encoder", "text_encoder_2"):
        ours = read_tensors(tmp_path / "config" / part)
        state = getattr(pipeline, part).state_dict()
        for key, x in ours.items():
            theirs = state.get(key, state.get(key.removeprefix("text_model.")))
            np.testing.assert_array_equal(theirs.numpy(), x, key)
