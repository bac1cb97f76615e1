"""Stable Diffusion in one file: equal weights, sizes from shapes, and what no shape tells."""

import functools
import json
from dataclasses import replace

import jax
import numpy as np
import pytest

from benchmarks.archives import checkpoint_archive
from common.clip import TextTower
from common.clip.checkpoint import abstract_text
from common.convert import convert
from common.diffusion import Modules, StableDiffusion, load_stable_diffusion, save_stable_diffusion
from common.diffusion.checkpoint import abstract_unet, abstract_vae
from common.diffusion.known import KNOWN, describe_stable_diffusion, local_text_widths
from common.diffusion.single_file import open_single_file
from common.diffusion.unet import UNet
from common.diffusion.vae import AutoencoderKL
from common.errors import UserError
from common.weights.files import read_tensors, write_tensors
from tests.compare import same
from tests.diffusion.web_ui import in_one_file, small_model, without

pytestmark = pytest.mark.usefixtures("shapes_found_once")
YAML = "model:\n  target: ldm.models.diffusion.ddpm.LatentDiffusion\n  params:\n"


@pytest.fixture(scope="module")
def first(tokenizer):
    return small_model(tokenizer)


@pytest.fixture(scope="module")
def second(tokenizer):
    return small_model(tokenizer, second=True)


@pytest.fixture(scope="module")
def tensors(first):
    return in_one_file(first)


def write(model, folder, name="model.safetensors", tensors=None, **options):
    """Write a file with its tokenizer beside it."""
    model.tokenizer.save(folder / "tokenizer")
    tensors = tensors or in_one_file(model, **options)
    if name.endswith(".safetensors"):
        write_tensors(folder / name, tensors)
    else:
        half = {key: x.astype(np.int64) if x.dtype.kind == "i" else x for key, x in tensors.items()}
        (folder / name).write_bytes(checkpoint_archive({"global_step": 7, "state_dict": half}))
    return folder / name


@pytest.mark.parametrize("name", ["model.safetensors", "model.ckpt"])
def test_a_file_of_1x_is_what_its_folder_is(first, tensors, tmp_path, name):
    save_stable_diffusion(first, tmp_path / "folder")
    file = write(first, tmp_path, name, tensors)
    loaded, folder = (load_stable_diffusion(str(x)) for x in (file, tmp_path / "folder"))
    assert same(loaded.params, first.params)
    assert loaded.unet.config == folder.unet.config and loaded.vae.config == folder.vae.config
    assert loaded.fingerprint == folder.fingerprint
    assert loaded.schedule == folder.schedule and local_text_widths(str(file)) == (64,)


def test_a_file_of_2x_is_what_its_folder_is(second, tmp_path):
    file = write(second, tmp_path)
    with pytest.raises(UserError, match=r"nothing in .* says whether this .* 2\.x predicts") as no:
        load_stable_diffusion(str(file))
    assert "--prediction=epsilon" in str(no.value) and "model.yaml" in str(no.value)
    loaded = load_stable_diffusion(str(file), prediction="v_prediction")
    assert same(loaded.params, second.params)
    assert loaded.unet.config == second.unet.config
    assert loaded.schedule.prediction_type == "v_prediction"
    assert loaded.tokenizer.pad == loaded.text_tower.config.pad == 0
    assert loaded.text_tower.config == second.text_tower.config
    noise = load_stable_diffusion(str(file), prediction="epsilon")
    assert noise.schedule.prediction_type == "epsilon" and noise.image_size == 128


def test_the_yaml_of_web_uis_says_what_is_predicted(second, tmp_path):
    file = write(second, tmp_path, whole_text=False)
    file.with_suffix(".yaml").write_text(f'{YAML}    parameterization: "v"\n    linear_start: 1\n')
    loaded = load_stable_diffusion(str(file))
    assert loaded.schedule.prediction_type == "v_prediction" and same(loaded.params, second.params)
    file.with_suffix(".yaml").write_text(f"{YAML}    linear_start: 0.00085\n")
    assert load_stable_diffusion(str(file)).schedule.prediction_type == "epsilon"


def test_a_prediction_that_the_files_deny_is_refused(first, second, tensors, tmp_path):
    save_stable_diffusion(first, tmp_path / "folder")
    beside = write(second, tmp_path, whole_text=False)
    beside.with_suffix(".yaml").write_text(f"{YAML}    linear_start: 0.00085\n")
    for source in (tmp_path / "folder", beside):
        schedule = load_stable_diffusion(source, prediction="epsilon").schedule
        assert schedule.prediction_type == "epsilon"
        with pytest.raises(UserError, match=r"prediction='v_prediction' is not what .* epsilon: "):
            load_stable_diffusion(source, prediction="v_prediction")
    file = write(first, tmp_path, "alone.safetensors", tensors)
    with pytest.raises(UserError, match="prediction='velocity' is unknown; choose one of epsilon,"):
        load_stable_diffusion(file, prediction="velocity")


def test_converted_it_is_read_by_its_folder(second, tmp_path):
    file = write(second, tmp_path)
    report = convert(str(file), tmp_path / "out", prediction="v_prediction")
    loaded = load_stable_diffusion(str(tmp_path / "out"))
    assert same(loaded.params, second.params) and loaded.tokenizer.pad == 0
    parts = report["parts"]
    assert parts["vae"]["ignored"] == ["loss.logvar"]
    last = "cond_stage_model.model.transformer.resblocks.2.ln_1.weight"
    assert {"alphas_cumprod", "model_ema.decay", last} <= {*parts["rest"]["ignored"]}
    listed = sum(len(part["keys"]) + len(part["ignored"]) for part in parts.values())
    assert listed == len(read_tensors(file)) and not parts["rest"]["keys"]
    key = report["parts"]["unet"]["keys"]["input_blocks.1.0.in_layers.2.weight"]
    assert key["to"] == ("down_0/resnet_0/conv1/kernel",)
    index = json.loads((tmp_path / "out/model_index.json").read_text())
    assert index["scheduler"] == ["diffusers", "PNDMScheduler"]
    with pytest.raises(UserError, match="--activation is not an option for this kind of model"):
        convert(str(file), tmp_path / "other", activation="gelu")


def test_what_no_model_reads_does_not_widen_its_numbers(first, tensors, tmp_path):
    half = {x: y.astype(np.float16) if x.startswith("model.") else y for x, y in tensors.items()}
    half |= {x: y.astype(np.float16) for x, y in tensors.items() if "stage_model." in x}
    assert half["alphas_cumprod"].dtype == np.float32
    report = convert(str(write(first, tmp_path, tensors=half)), tmp_path / "out")
    assert report["dtype"] == "float16"


SHAPES = ("stable-diffusion-v1-5/stable-diffusion-v1-5", "stabilityai/stable-diffusion-2-1-base")
SHAPES += ("stabilityai/stable-diffusion-2-1",)


@functools.cache
def published_shapes(unet, vae, text):
    """Models of 2.x differ in the pictures' size alone, on which no shape depends."""
    return {
        "unet": abstract_unet(UNet(unet)),
        "vae": abstract_vae(AutoencoderKL(vae)),
        "text": abstract_text(text),
    }


@pytest.mark.parametrize("name", SHAPES)
def test_sizes_of_published_models(tokenizer, tmp_path, name, monkeypatch):
    """From shapes alone: the zeros take no memory."""
    known = KNOWN[name]
    unet, vae, tower = UNet(known.unet), AutoencoderKL(known.vae), TextTower(known.text)
    usual = (replace(part, sample_size=64) for part in (known.unet, known.vae))
    shapes = published_shapes(*usual, known.text)
    zeros = jax.tree.map(lambda x: np.broadcast_to(np.float32(0), x.shape), shapes)
    modules = Modules(unet, vae, tower, known.schedule)
    model = StableDiffusion(modules, tokenizer, zeros, "")
    monkeypatch.setattr(np, "asarray", lambda x, **_: x)
    tensors = in_one_file(model, whole_text=False)
    monkeypatch.undo()
    monkeypatch.setattr("common.diffusion.single_file.read_tensors", lambda _: tensors)
    tokenizer.save(tmp_path)
    file = tmp_path / "x.safetensors"
    opened = open_single_file(file, known.schedule.prediction_type).architecture
    assert (opened.unet, opened.vae) == (known.unet, known.vae)
    special = {"bos": 0, "eos": 0, "pad": 0}
    assert replace(opened.text, **special) == replace(known.text, **special)
    assert repr(opened.schedule) == repr(known.schedule)


def test_the_tokenizer_is_beside_the_file_or_the_hubs(first, tensors, tmp_path, monkeypatch):
    file = write(first, tmp_path, tensors=tensors)
    (tmp_path / "tokenizer").rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"holds no tokenizer.*hf download openai/clip-vit-large"):
        load_stable_diffusion(str(file))
    monkeypatch.setattr("common.clip.single_file.resolve", lambda *_: tmp_path / "elsewhere")
    assert same(load_stable_diffusion(str(file)).params, first.params)


ONE = np.zeros((2, 2), np.float32)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda x: without(x, "first_stage_model."), "lacks its vae: give the whole model"),
        (lambda x: without(x, "first", "cond"), "lacks its vae and its text_encoder"),
        (lambda x: x | {"conditioner.embedders.0.x": ONE}, "is a Stable Diffusion XL"),
        (lambda x: x | {"control_model.x": ONE}, "is a ControlNet"),
        (lambda x: without(x, "model.diffusion_model.out.2"), "whose sizes can be told"),
        (lambda x: without(x, "model.diffusion_model.input_blocks.1."), "sizes can be told"),
        (lambda x: without(x, "model.diffusion_model.time_embed.0.bias"), "lacks 1 entry"),
        (lambda x: x | {"first_stage_model.x.weight": ONE}, "that this model does not know"),
        (lambda x: {"emb_params": ONE}, "a learned token"),
    ],
)
def test_what_is_refused(first, tensors, tmp_path, change, sentence):
    file = write(first, tmp_path, tensors=change(tensors))
    with pytest.raises(UserError, match=sentence):
        load_stable_diffusion(str(file))


def test_described_without_its_weights(first, tensors, tmp_path):
    file = write(first, tmp_path, tensors=tensors)
    described = describe_stable_diffusion(str(file))
    assert described.unet.config == first.unet.config
    shapes = jax.tree.map(lambda x: x.shape, described.params)
    assert shapes == jax.tree.map(lambda x: x.shape, first.params)


@pytest.mark.reference
@pytest.mark.parametrize("which", ["first", "second"])
def test_diffusers_reads_the_file_alike(which, tmp_path, request):
    pytest.importorskip("torch")
    diffusers = pytest.importorskip("diffusers")
    model = request.getfixturevalue(which)
    save_stable_diffusion(model, tmp_path / "config")
    file = write(model, tmp_path, whole_text=False)
    for part in ("unet", "vae"):
        kind = {"unet": diffusers.UNet2DConditionModel, "vae": diffusers.AutoencoderKL}[part]
        theirs = kind.from_single_file(str(file), config=str(tmp_path / "config"), subfolder=part)
        ours = read_tensors(tmp_path / "config" / part, "diffusion_pytorch_model")
        state = theirs.state_dict()
        assert state.keys() == ours.keys()
        for key, x in ours.items():
            np.testing.assert_array_equal(state[key].numpy(), x, key)
    pipeline = diffusers.StableDiffusionPipeline.from_single_file(
        str(file), config=str(tmp_path / "config"), local_files_only=True, safety_checker=None
    )
    ours = read_tensors(tmp_path / "config/text_encoder")
    state = pipeline.text_encoder.state_dict()
    for key, x in ours.items():
        theirs = state.get(key, state.get(key.removeprefix("text_model.")))
        np.testing.assert_array_equal(theirs.numpy(), x, key)
