"""Stable Diffusion XL: its files, its prompts, and pictures by the one door."""

import dataclasses
import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.diffusion import (
    AddedConditions,
    AutoencoderKL,
    StableDiffusionXL,
    UNet,
    UNetConfig,
    load_stable_diffusion,
    save_stable_diffusion,
    text_to_image,
)
from common.diffusion.drawing import generate
from common.diffusion.known import KNOWN, describe_stable_diffusion, local_text_widths
from common.diffusion.record import digests_of_used
from common.diffusion.states import prompt_groups
from common.diffusion.text_encoding import encode_prompts, encode_weighted
from common.errors import UserError
from common.photos.images import to_uint8
from tests.diffusion.xl import UNET, xl_architecture, xl_model

pytestmark = pytest.mark.usefixtures("quick_compiler", "shapes_found_once")
BASE, TURBO = "stabilityai/stable-diffusion-xl-base-1.0", "stabilityai/sdxl-turbo"
WORDS = {"<mine>": {"clip_l": np.full((2, 24), 3.0), "clip_g": np.full((2, 32), -3.0)}}


class Stub(UNet):
    """A denoiser that compiles in no time; a row depends on all that conditions it."""

    def __call__(self, latents, timesteps, text_states, added):
        seen = text_states.sum(1)[:, :4] + added.text_embeds[:, :4] + timesteps[:, None] / 1000
        mixed = (seen + added.time_ids @ jnp.arange(6)[:, None] / 100)[:, None, None]
        return 0.5 * latents + np.pi * mixed / (1 + mixed**2)


@pytest.fixture(scope="module")
def model(tokenizer):
    return xl_model(tokenizer)


@pytest.fixture(scope="module")
def stubbed(model):
    modules = dataclasses.replace(model.modules, unet=Stub(model.unet.config))
    return dataclasses.replace(model, modules=modules)


@pytest.fixture
def directory(model, tmp_path):
    save_stable_diffusion(model, tmp_path)
    return tmp_path


def edit(file, **changes):
    content = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: x for key, x in content.items() if x is not ...}))


def drawn(sd, prompt="a dog", **options):
    options = {"steps": 3, "guidance": 2.0, "sampler": "ddim"} | options
    return np.stack([np.asarray(picture) for picture in sd.draw(prompt, **options)])


def test_round_trip(model, directory):
    loaded = load_stable_diffusion(str(directory))
    assert isinstance(loaded, StableDiffusionXL)
    assert loaded.modules == model.modules and loaded.zeroes_negative
    assert [x.pad for x in loaded.tokenizers] == [model.tokenizer.eos, 0]
    jax.tree.map(np.testing.assert_array_equal, loaded.params, model.params)
    index = json.loads((directory / "model_index.json").read_text())
    assert index["_class_name"] == "StableDiffusionXLPipeline"
    assert index["scheduler"] == ["diffusers", "EulerDiscreteScheduler"]
    text = load_stable_diffusion(str(directory), networks=False)
    assert set(text.params) == {"text", "text_2"} and text.fingerprint != loaded.fingerprint
    assert text.text_fingerprint == loaded.text_fingerprint == text.fingerprint


def test_the_fingerprint_names_both_towers_and_the_zeros(model, directory):
    names = {load_stable_diffusion(str(directory)).fingerprint}
    edit(directory / "model_index.json", force_zeros_for_empty_prompt=False)
    names.add(load_stable_diffusion(str(directory)).fingerprint)
    changed = jax.tree.map(np.array, model.params)
    changed["text_2"]["projection"]["kernel"][0] += 1e-3
    save_stable_diffusion(dataclasses.replace(model, params=changed), directory)
    names.add(load_stable_diffusion(str(directory)).fingerprint)
    assert len(names) == 3


def test_what_files_leave_out_is_diffusers_default(directory):
    edit(directory / "vae/config.json", force_upcast=...)
    edit(directory / "model_index.json", force_zeros_for_empty_prompt=...)
    loaded = load_stable_diffusion(str(directory))
    assert loaded.vae.config.force_upcast and loaded.zeroes_negative
    edit(directory / "vae/config.json", force_upcast=False)
    loaded = load_stable_diffusion(str(directory))
    assert loaded.vae.config.force_upcast is False
    save_stable_diffusion(loaded, directory)
    assert json.loads((directory / "vae/config.json").read_text())["force_upcast"] is False


@pytest.mark.parametrize(
    ("upcast", "dtype", "computed"),
    [
        (True, "float16", "float32"),
        (False, "float16", "float16"),
        (None, "float16", "float16"),
        (True, "bfloat16", "bfloat16"),
    ],
)
def test_float16_is_too_narrow_for_the_autoencoder(model, upcast, dtype, computed):
    config = dataclasses.replace(model.vae.config, force_upcast=upcast)
    vae = AutoencoderKL(config, jnp.dtype(dtype))
    assert jnp.dtype(vae.computed) == computed
    large = jax.tree.map(lambda x: jnp.asarray(x, dtype), model.params["vae"])
    large["post_quant"]["bias"] = jnp.full_like(large["post_quant"]["bias"], 6e4)
    pixels = vae.apply({"params": large}, jnp.full((1, 2, 2, 4), 1e4), method="decode")
    assert bool(jnp.isfinite(pixels).all()) == (computed != "float16")


def test_an_empty_negative_prompt_is_zeros_if_the_model_says_so(model):
    for weighted in (False, True):
        (group,) = prompt_groups(model, ["a dog"], "", {}, weighted)
        assert not group.opposite.states.any() and not group.opposite.pooled.any()
        (group,) = prompt_groups(model, ["a dog"], "a cat", {}, weighted)
        assert group.opposite.states.any() and group.opposite.pooled.any()
        encoded = dataclasses.replace(model, zeroes_negative=False)
        (group,) = prompt_groups(encoded, ["a dog"], "", {}, weighted)
        assert group.opposite.states.any() and group.opposite.pooled.any()


def test_plain_prompts_are_weighted_ones_of_weight_one(model):
    plain = encode_prompts(model, ["a dog"], {})
    (weighted,) = encode_weighted(model, ["a dog"], {})
    np.testing.assert_array_equal(plain.states[0], weighted.states)
    np.testing.assert_array_equal(plain.pooled[0], weighted.pooled)


def test_long_prompts_are_chunks_of_which_the_first_is_pooled(model):
    long = f"(a dog:1.3) {'d' * 60}, {'c' * 60}"
    first, second = encode_weighted(model, [f"(a dog:1.3) {'d' * 60},", "c" * 60], {})
    (both,) = encode_weighted(model, [long], {})
    np.testing.assert_allclose(both.states[:77], first.states, atol=1e-6)
    np.testing.assert_allclose(both.states[77:], second.states, atol=1e-6)
    np.testing.assert_allclose(both.pooled, first.pooled, atol=1e-6)
    (plain,) = encode_weighted(model, [long.replace("(a dog:1.3)", "a dog")], {})
    np.testing.assert_allclose(both.pooled, plain.pooled, atol=1e-6)
    assert np.abs(both.states[:77] - plain.states[:77]).max() > 1e-2


def test_weights_keep_the_mean_of_each_tower(model):
    texts = "a dog", "a (dog:1.8)"
    plain, weighted = (encode_weighted(model, [x], {})[0].states for x in texts)
    for tower in (slice(0, 24), slice(24, 56)):
        assert weighted[:, tower].mean() == pytest.approx(plain[:, tower].mean(), rel=1e-3)
        assert np.abs(weighted[:, tower] - plain[:, tower]).max() > 1e-2


def test_learned_words_reach_both_towers_and_are_no_end(model):
    plain, learned = encode_prompts(model, ["a bc dog", "a <mine> dog"], WORDS).states
    assert all((plain[:, part] != learned[:, part]).any() for part in (slice(24), slice(24, 56)))
    behind = encode_prompts(model, ["<mine> dog", "<mine> cat"], WORDS).pooled
    assert np.abs(behind[0] - behind[1]).max() > 1e-3  # A pool at the word would see neither.


def test_pictures_depend_on_words_negative_and_size(stubbed):
    plain = drawn(stubbed)
    np.testing.assert_array_equal(drawn(stubbed, ["a dog", "a cat"], n=2)[:1], plain)
    assert plain.shape == (1, 16, 16, 3) and (drawn(stubbed, negative="a cat") != plain).any()
    assert (drawn(stubbed, "a <mine>", tokens=WORDS) != drawn(stubbed, "a bc")).any()
    wide = drawn(stubbed, width=24)
    assert wide.shape == (1, 16, 24, 3) and (wide[:, :, :16] != plain).any()
    assert (drawn(stubbed, "(dog:1.5)", weighted=True) != drawn(stubbed, "dog")).any()


def test_height_comes_before_width_and_nothing_is_cut_off(stubbed):
    options = {"sampler": "ddim", "steps": 3, "guidance": 2.0}
    actual = generate(stubbed, ["a dog"], {}, size=(24, 16), batch=1, seed=0, **options)
    (group,) = prompt_groups(stubbed, ["a dog"], "", {}, weighted=False)
    key = jax.random.fold_in(jax.random.key(0), 0)
    sizes = jnp.array([[16.0, 24, 0, 0, 16, 24]])
    expected = text_to_image(
        stubbed.modules,
        stubbed.params,
        jnp.asarray(group.conditions.states),
        jnp.asarray(group.opposite.states),
        jax.random.normal(key, (1, 8, 12, 4)),
        added=AddedConditions(jnp.asarray(group.conditions.pooled), sizes),
        negative_added=AddedConditions(jnp.asarray(group.opposite.pooled), sizes),
        **options,
    )
    wanted = to_uint8(np.asarray(expected, np.float32))
    assert np.abs(actual.astype(int) - wanted).max() <= 1


def test_the_files_own_sampler_is_the_default(stubbed, model):
    own = drawn(stubbed, sampler=None)
    np.testing.assert_array_equal(own, drawn(stubbed, sampler="checkpoint"))
    assert (own != drawn(stubbed, sampler="dpmpp_2m")).any()
    other = model.schedule.from_dict({"_class_name": "LCMScheduler"})
    modules = dataclasses.replace(model.modules, schedule=other)
    assert dataclasses.replace(model, modules=modules).default_sampler == "dpmpp_2m"


@pytest.mark.parametrize(
    ("tokens", "sentence"),
    [
        ({"<a>": np.ones((1, 24))}, "those of one text encoder, and a Stable Diffusion XL takes"),
        ({"<a>": {"clip_l": np.ones((1, 24))}}, "those of clip_l, and a Stable Diffusion XL"),
        ({"<a>": {"clip_l": np.ones((1, 9)), "clip_g": np.ones((1, 32))}}, "are 9 wide"),
        ({"<a>": {"clip_l": np.ones((1, 24)), "clip_g": np.ones((2, 32))}}, "1 of clip_l and 2"),
        ({"<a>": {"clip_l": np.ones((1, 24)), "clip_g": np.full(32, np.nan)}}, "give finite"),
    ],
)
def test_vectors_that_do_not_fit(stubbed, tokens, sentence):
    with pytest.raises(UserError, match=sentence):
        stubbed.draw("a <a>", tokens=tokens)


def test_vectors_of_both_towers_are_none_of_a_single_one(models):
    with pytest.raises(UserError, match=r"clip_g and clip_l, and this model has one text encoder"):
        models["v1"].draw("a <mine>", tokens=WORDS)


def test_a_record_names_the_vectors_of_both_towers(model):
    used = digests_of_used(model, WORDS, ["a <mine>"], False)
    other = {"<mine>": WORDS["<mine>"] | {"clip_g": np.ones((2, 32))}}
    assert used != digests_of_used(model, other, ["a <mine>"], False)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("transformer_layers_per_block", [1, 2]),
        ("transformer_layers_per_block", [1, -2, 3]),
        ("transformer_layers_per_block", 0),
        ("transformer_layers_per_block", 10**6),
        ("transformer_layers_per_block", [[1, 2], 2, 3]),
        ("addition_embed_type", "image"),
        ("addition_embed_type", None),
        ("addition_time_embed_dim", None),
        ("addition_time_embed_dim", -8),
        ("addition_time_embed_dim", 7),
        ("projection_class_embeddings_input_dim", 48),
        ("projection_class_embeddings_input_dim", "many"),
        ("attention_head_dim", [2, 4]),
    ],
)
def test_configurations_that_are_refused(field, value):
    with pytest.raises(UserError, match=field):
        UNetConfig.from_dict(UNET | {field: value})


def test_configurations_are_written_as_they_are_read():
    config = UNetConfig.from_dict(UNET)
    assert UNetConfig.from_dict(config.to_dict()) == config and config.pooled_width == 16
    assert {key: config.to_dict()[key] for key in UNET} == UNET
    assert not {"addition_embed_type", "transformer_layers_per_block"} & set(UNetConfig().to_dict())
    assert "addition" not in repr(UNetConfig()) and "addition" in repr(config)


@pytest.mark.parametrize(
    ("file", "changes", "sentence"),
    [
        ("model_index.json", {"requires_aesthetics_score": True}, "is a refiner"),
        ("model_index.json", {"text_encoder": [None, None]}, "is a refiner"),
        ("model_index.json", {"_class_name": "StableDiffusion3Pipeline"}, "a Stable Diffusion 3,"),
        ("model_index.json", {"_class_name": "FluxPipeline"}, "is a FLUX, which is not supported"),
        ("model_index.json", {"_class_name": "StableDiffusionPipeline"}, "width 56, the text"),
        ("unet/config.json", {"in_channels": 9}, "maps 9 channels to 4.*inpainting"),
        ("unet/config.json", {"cross_attention_dim": 24}, "width 24, both encoders make 56"),
        ("unet/config.json", {"projection_class_embeddings_input_dim": 65}, "pooled text of width"),
        ("text_encoder_2/config.json", {"projection_dim": -1}, "projection_dim"),
        ("vae/config.json", {"force_upcast": "perhaps"}, "force_upcast"),
        ("vae/config.json", {"latents_mean": [0.0]}, "latents_mean"),
    ],
)
def test_other_models_are_refused(directory, file, changes, sentence):
    edit(directory / file, **changes)
    with pytest.raises(UserError, match=sentence):
        load_stable_diffusion(str(directory))


def test_a_missing_part_is_named(directory):
    (directory / "text_encoder_2/config.json").unlink()
    with pytest.raises(UserError, match=r"text_encoder_2/config\.json' is missing"):
        load_stable_diffusion(str(directory))


def test_positions_of_both_towers_agree(tokenizer, model, directory):
    sizes = xl_architecture(tokenizer)
    short = dataclasses.replace(sizes.text_2, positions=70)
    with pytest.raises(UserError, match="77 and 70 positions"):
        dataclasses.replace(sizes, text_2=short).require_fit()


@pytest.mark.parametrize(("source", "side"), [(BASE, 1024), (TURBO, 512)])
def test_published_sizes(source, side):
    sd = describe_stable_diffusion(source, jnp.bfloat16)
    counts = {
        part: sum(leaf.size for leaf in jax.tree.leaves(tree)) for part, tree in sd.params.items()
    }
    assert counts == {
        "unet": 2_567_463_684,
        "vae": 83_653_863,
        "text": 123_060_480,
        "text_2": 694_659_840,
    }
    assert sd.image_size == side and sd.default_sampler == "checkpoint"
    KNOWN[source].require_fit()


def test_the_widths_of_what_is_at_hand(directory, models, tmp_path):
    save_stable_diffusion(models["v1"], tmp_path / "v1")
    widths = [local_text_widths(str(x)) for x in (directory, tmp_path / "v1", BASE, "some/model")]
    assert widths == [(24, 32), (24,), None, None]
    described = describe_stable_diffusion(str(directory))
    assert described.default_sampler == "checkpoint" and "text_2" in described.params


def test_all_files_of_a_known_model_that_cannot_be_had_are_named_at_once(monkeypatch):
    def offline(*args, **options):
        raise OSError

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    for name in ("text_encoder_2/config.json", "tokenizer_2/*", "text_encoder_2/model.safetensors"):
        with pytest.raises(UserError, match=re.escape(f"'{name}'")):
            load_stable_diffusion(BASE)
