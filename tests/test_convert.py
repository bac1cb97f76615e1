"""The conversion command: results, report, refusals, and the comparison with PyTorch."""

import dataclasses
import json
import string
import sys

import jax
import ml_dtypes
import numpy as np
import pytest
from transformers import CLIPTokenizer

from common import convert as command
from common import kinds, torch_check
from common.clip import (
    CLIP,
    CLIPConfig,
    Preprocess,
    ResNetConfig,
    TextConfig,
    TextTower,
    Tokenizer,
    ViTConfig,
    load_clip,
    save_clip,
)
from common.clip.checkpoint import abstract_params, abstract_text
from common.convert import convert, summary
from common.diffusion import (
    AutoencoderKL,
    Modules,
    NoiseSchedule,
    StableDiffusion,
    UNet,
    UNetConfig,
    VAEConfig,
    load_stable_diffusion,
    save_stable_diffusion,
)
from common.diffusion.checkpoint import abstract_unet, abstract_vae
from common.errors import UserError
from common.files import read_json
from common.nesting import flatten
from common.weights.clip import OPEN_CLIP_VIT
from common.weights.files import read_tensors, write_tensors
from common.weights.table import to_source
from tests.hostile import commands
from tests.mutations import ROOT

LETTERS = [*string.ascii_lowercase, *(f"{letter}</w>" for letter in string.ascii_lowercase)]
TEXT = TextConfig(
    vocab_size=len(LETTERS) + 2,
    width=16,
    layers=2,
    heads=2,
    mlp_width=32,
    bos=52,
    eos=53,
    pad=53,
)
VIT = ViTConfig(image_size=8, patch_size=4, width=16, layers=1, heads=2, mlp_width=32, projection=8)
RESNET = ResNetConfig(image_size=32, layers=(1, 1, 1, 1), width=4, heads=2, projection=8)


@pytest.fixture(scope="module")
def tokenizer():
    specials = ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: i for i, word in enumerate(LETTERS + specials)}
    return Tokenizer(CLIPTokenizer(vocab=vocabulary, merges=[]))


def random_weights(shapes):
    rng = np.random.default_rng(0)

    def weights(path, leaf):
        around_one = str(path[-1].key) in ("scale", "variance")
        return rng.normal(around_one, 0.1, leaf.shape).astype(np.float32)

    return jax.tree.map_with_path(weights, shapes)


def small_clip(tokenizer, vision):
    text = TextConfig(**(vars(TEXT) | {"projection": vision.projection}))
    config = CLIPConfig(text, vision)
    params = random_weights(abstract_params(config))
    return CLIP(config, params, tokenizer, Preprocess(vision.image_size), fingerprint="")


def small_diffusion(tokenizer):
    unet = UNet(
        UNetConfig(
            sample_size=8,
            block_out_channels=(8, 16),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            layers_per_block=1,
            attention_head_dim=2,
            cross_attention_dim=16,
            norm_num_groups=4,
        )
    )
    vae = AutoencoderKL(
        VAEConfig(
            sample_size=16,
            block_out_channels=(8, 8),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            layers_per_block=1,
            norm_num_groups=4,
        )
    )
    params = {
        "unet": random_weights(abstract_unet(unet)),
        "vae": random_weights(abstract_vae(vae)),
        "text": random_weights(abstract_text(TEXT)),
    }
    modules = Modules(unet, vae, TextTower(TEXT), NoiseSchedule())
    return StableDiffusion(modules, tokenizer, params, fingerprint="")


@pytest.fixture
def open_clip_directory(tokenizer, tmp_path):
    """A ViT as open_clip publishes it, with a buffer that is not a weight."""
    clip, directory = small_clip(tokenizer, VIT), tmp_path / "open_clip"
    tensors = to_source(OPEN_CLIP_VIT, clip.params)
    tensors["attn_mask"] = np.zeros((77, 77), np.float32)
    write_tensors(directory / "open_clip_model.safetensors", tensors, {})
    tower = {"image_size": 8, "patch_size": 4, "width": 16, "layers": 1, "head_width": 8}
    words = {"context_length": 77, "vocab_size": 54, "width": 16, "heads": 2, "layers": 2}
    model = {
        "embed_dim": 8,
        "quick_gelu": True,
        "vision_cfg": tower | {"mlp_ratio": 2.0},
        "text_cfg": words | {"mlp_ratio": 2.0},
    }
    (directory / "open_clip_config.json").write_text(json.dumps({"model_cfg": model}))
    tokenizer.save(directory)
    return directory


def test_open_clip_becomes_hugging_face(open_clip_directory, tmp_path):
    out = tmp_path / "out"
    report = convert(str(open_clip_directory), out)
    before, after = load_clip(str(open_clip_directory)), load_clip(str(out))
    assert after.config == before.config
    assert jax.tree.all(jax.tree.map(np.array_equal, after.params, before.params))
    assert "vision_model.pre_layrnorm.weight" in read_tensors(out)
    assert report["fingerprint"] == before.fingerprint == after.fingerprint
    assert read_json(out / "conversion.json") == json.loads(json.dumps(report))


def test_the_report_says_where_every_key_went(open_clip_directory, tmp_path):
    report = convert(str(open_clip_directory), tmp_path / "out")
    (part,) = report["parts"].values()
    tensors = read_tensors(open_clip_directory, "open_clip_model")
    assert part["ignored"] == ["attn_mask"]
    assert part["keys"].keys() == tensors.keys() - {"attn_mask"}
    assert part["keys"]["transformer.resblocks.1.attn.in_proj_bias"] == {
        "to": tuple(f"text/block_1/attention/{name}/bias" for name in ("query", "key", "value")),
        "shape": (48,),
        "dtype": "float32",
    }
    reached = [path for key in part["keys"].values() for path in key["to"]]
    params = flatten(load_clip(str(tmp_path / "out")).params)
    assert sorted(reached) == sorted(params)
    assert report["shapes"] == {path: leaf.shape for path, leaf in params.items()}
    assert report["parameters"] == sum(leaf.size for leaf in params.values())
    assert summary(report).splitlines() == [
        f"clip: {len(tensors) - 1} keys mapped, none left, 1 ignored",
        f"{report['parameters']:,} parameters in float32, fingerprint {report['fingerprint']}",
    ]


@pytest.mark.parametrize(
    ("stored", "kept"),
    [
        ((np.float16,), "float16"),
        ((ml_dtypes.bfloat16,), "bfloat16"),
        ((np.float16, np.float32), "float32"),
    ],
)
def test_the_floating_point_type_stays(open_clip_directory, tmp_path, stored, kept):
    file = open_clip_directory / "open_clip_model.safetensors"
    tensors = {
        name: x.astype(stored[i % len(stored)])
        for i, (name, x) in enumerate(read_tensors(file).items())
    }
    write_tensors(file, tensors, {})
    report = convert(str(open_clip_directory), tmp_path / "out")
    assert report["dtype"] == kept
    assert {x.dtype.name for x in read_tensors(tmp_path / "out").values()} == {kept}
    assert report["fingerprint"] == load_clip(str(open_clip_directory)).fingerprint


def test_a_resnet_keeps_its_layout(tokenizer, tmp_path):
    save_clip(small_clip(tokenizer, RESNET), tmp_path / "in")
    convert(str(tmp_path / "in"), tmp_path / "out")
    one, two = (read_tensors(tmp_path / name, "open_clip_model") for name in ("in", "out"))
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_stable_diffusion(tokenizer, tmp_path):
    save_stable_diffusion(small_diffusion(tokenizer), tmp_path / "in")
    report = convert(str(tmp_path / "in"), tmp_path / "out")
    assert report["parts"].keys() == {"unet", "vae", "text_encoder"}
    assert load_stable_diffusion(str(tmp_path / "out")).fingerprint == report["fingerprint"]
    for part in report["parts"].values():
        assert part["keys"] and not part["ignored"]


def test_the_page_shows_what_the_pocket_model_prints(tmp_path):
    """If this fails, run the command of docs/weights.md again."""
    said = summary(convert(str(ROOT / "common/pocket/models/sd"), tmp_path / "out"))
    assert said in (ROOT / "docs/weights.md").read_text("utf-8")


def test_what_was_written_wrongly_is_noticed(open_clip_directory, tmp_path, monkeypatch):
    def save_wrongly(clip, directory):
        params = clip.params | {"logit_scale": clip.params["logit_scale"] + 1}
        save_clip(dataclasses.replace(clip, params=params), directory)

    kind = kinds.ModelKind(load_clip, save_wrongly, kinds._clip_parts)
    monkeypatch.setattr(kinds, "_CLIP", kind)
    with pytest.raises(RuntimeError, match="reads back differently"):
        convert(str(open_clip_directory), tmp_path / "out")


def test_out_must_be_empty(open_clip_directory, tmp_path):
    for out in (open_clip_directory, open_clip_directory / "open_clip_config.json"):
        with pytest.raises(UserError, match="exists already; name a new directory"):
            convert(str(open_clip_directory), out)
    (tmp_path / "empty").mkdir()
    convert(str(open_clip_directory), tmp_path / "empty")


def test_unknown_keys_write_nothing(open_clip_directory, tmp_path):
    file = open_clip_directory / "open_clip_model.safetensors"
    write_tensors(file, read_tensors(file) | {"extra.weight": np.zeros(1, np.float32)}, {})
    with pytest.raises(UserError, match=r"extra\.weight"):
        convert(str(open_clip_directory), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command(open_clip_directory, tmp_path):
    done = commands.run("common.convert", str(open_clip_directory), str(tmp_path / "out"))
    assert (done.status, done.err) == (0, "")
    assert "keys mapped, none left, 1 ignored" in done.out
    assert (tmp_path / "out/conversion.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["one"], "1 arguments given, two needed: python -m common.convert SOURCE OUT."),
        (["./nowhere", "out"], "there is no model directory './nowhere'"),
        (["pocket", "out"], "'pocket' stands for several models"),
        (["a", "b", "--chek"], "Unknown command line flag 'chek'"),
    ],
)
def test_the_command_refuses_in_one_sentence(tmp_path, arguments, message):
    done = commands.run("common.convert", *arguments)
    assert done.status == 2
    assert len(done.err.strip().splitlines()) == 1
    assert message in done.err


def test_without_pytorch_nothing_is_compared(open_clip_directory, tmp_path, monkeypatch, capsys):
    convert(str(open_clip_directory), tmp_path / "out")
    monkeypatch.setitem(sys.modules, "torch", None)
    capsys.readouterr()
    command.check(tmp_path / "out")
    assert capsys.readouterr().out == "not compared with PyTorch: torch is not installed\n"


@pytest.mark.reference
@pytest.mark.parametrize("kind", ["clip", "diffusion"])
def test_check_compares_with_pytorch(kind, tokenizer, tmp_path, capsys, monkeypatch):
    pytest.importorskip("torch")
    pytest.importorskip("diffusers")
    if kind == "clip":
        save_clip(small_clip(tokenizer, VIT), tmp_path)
        names = {"text features", "image features"}
    else:
        save_stable_diffusion(small_diffusion(tokenizer), tmp_path)
        names = {"text states", "UNet prediction", "VAE latents", "VAE picture"}
    errors = command.check(tmp_path)
    assert errors.keys() == names
    assert max(errors.values()) < 1e-5
    assert capsys.readouterr().out.count("against PyTorch") == len(names)
    monkeypatch.setattr(torch_check, "torch_errors", lambda *_: {"a": 1e-6, "b": np.nan, "c": 2e-4})
    expected = r"b and c of .* differ from PyTorch's by more than"
    with pytest.raises(command.ConversionDiffers, match=expected):
        command.check(tmp_path)


@pytest.mark.reference
def test_a_resnet_has_nothing_to_compare_with(tokenizer, tmp_path, capsys):
    pytest.importorskip("torch")
    save_clip(small_clip(tokenizer, RESNET), tmp_path)
    assert command.check(tmp_path) == "transformers has no CLIP with a ResNet"
