"""SigLIP without PyTorch: files, tokens, towers that see all of a text, probabilities."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from common.clip import encode_image, encode_text, load_clip, save_clip
from common.clip.families import family_of, find_family
from common.clip.families.siglip import SIGLIP
from common.clip.known import KNOWN, describe_clip
from common.clip.siglip import SigLIPViT
from common.clip.siglip_files import (
    HALF,
    preprocess_from_json,
    preprocess_to_json,
    siglip_from_json,
    siglip_to_json,
)
from common.clip.siglip_tokenizer import SigLIPTokenizer
from common.clip.vit import ViT
from common.convert import convert
from common.errors import UserError
from common.files import write_json
from common.kinds import find_kind
from tests.clip import siglip_plain
from tests.clip.siglip_models import TOKENIZERS, small_siglip, unigram, write_tokenizer

pytestmark = pytest.mark.usefixtures("quick_compiler")
PHOTO = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


run_image, run_text = (jax.jit(run, static_argnums=0) for run in (encode_image, encode_text))


@pytest.fixture(scope="module", params=TOKENIZERS)
def siglip(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    write_tokenizer(folder, request.param)
    return small_siglip(SigLIPTokenizer.from_directory(folder))


def open_photo():
    return Image.fromarray(PHOTO)


@pytest.fixture
def folder(siglip, tmp_path):
    save_clip(siglip, tmp_path)
    return tmp_path


def test_what_is_saved_is_loaded(siglip, folder):
    clip = load_clip(str(folder))
    assert find_family(folder) is family_of(clip.config) is SIGLIP
    assert clip.config == siglip.config and clip.preprocess == siglip.preprocess
    assert clip.tokenizer.fingerprint == siglip.tokenizer.fingerprint
    jax.tree.map(np.testing.assert_array_equal, clip.params, siglip.params)
    described = describe_clip(str(folder))
    assert jax.tree.map(np.shape, described.params) == jax.tree.map(np.shape, clip.params)


def test_the_preprocessing_stands_where_transformers_5_writes_it(folder):
    file = folder / "preprocessor_config.json"
    content = json.loads(file.read_text())
    file.unlink()
    for resample, name in ((2, "bilinear"), (3, "bicubic")):
        images = {"image_processor": content | {"resample": resample}}
        write_json(folder / "processor_config.json", images)
        assert load_clip(str(folder)).preprocess.resample == name


def test_it_is_converted(folder, tmp_path):
    report = convert(str(folder), tmp_path / "out")
    keys = report["parts"]["clip"]["keys"]
    assert keys["logit_bias"]["to"] == ("logit_bias",)
    assert keys["vision_model.head.attention.in_proj_bias"]["to"] == tuple(
        f"vision/head/attention/{part}/bias" for part in ("query", "key", "value")
    )
    assert find_kind(str(folder)).load is load_clip


def test_texts_have_no_start_and_are_filled_up_to_the_end(siglip):
    tokenizer = siglip.tokenizer
    (row,) = tokenizer(["a cat"])
    words = tokenizer.encode("a cat")
    assert len(row) == 16 and row.tolist()[: len(words) + 1] == [*words, tokenizer.eos]
    assert set(row[len(words) + 1 :]) == {tokenizer.pad}
    assert tokenizer.room == 15
    (full,) = tokenizer(["x " * 40], truncate=True)
    assert full[-1] == tokenizer.eos and tokenizer.eos not in full[:-1]
    with pytest.raises(UserError, match="and 15 fit"):
        siglip.text_features(["x " * 40])


def test_a_text_is_read_at_the_last_position_whatever_stands_there(siglip):
    ids = jnp.asarray(siglip.tokenizer(["a cat", "two dogs"]))
    np.testing.assert_array_equal(siglip.text_tower.pool_at(ids), [15, 15])
    expected = run_text(siglip.text_tower, siglip.params["text"], ids)
    expected /= jnp.linalg.norm(expected, axis=-1, keepdims=True)
    np.testing.assert_allclose(siglip.text_features(["a cat", "two dogs"]), expected, atol=1e-6)


def test_towers_are_those_of_the_paper(siglip):
    """Of sides of 30 pixels, patches of 7 leave 2 over."""
    vision = replace(siglip.config.vision, image_size=30)
    clip = replace(siglip, config=replace(siglip.config, vision=vision))
    pixels = np.random.default_rng(1).normal(size=(2, 30, 30, 3)).astype(np.float32)
    found = run_image(clip.image_tower, clip.params["vision"], jnp.asarray(pixels))
    wanted = [siglip_plain.image_feature(clip.params["vision"], x, vision) for x in pixels]
    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-5)
    ids = clip.tokenizer(["a cat", "two dogs"])
    found = run_text(clip.text_tower, clip.params["text"], jnp.asarray(ids))
    text = clip.config.text
    wanted = [siglip_plain.text_feature(clip.params["text"], row, text) for row in ids]
    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-5)


def test_every_token_is_seen_by_all(siglip):
    tower, params = siglip.text_tower, {"params": siglip.params["text"]}

    def first(embeddings):
        return tower.apply(params, embeddings, jnp.array([0])).pooled.sum()

    embeddings = jax.random.normal(jax.random.key(0), (1, 16, tower.config.width))
    assert (np.abs(jax.jit(jax.grad(first))(embeddings)).sum(-1) > 0).all()


def test_bfloat16_is_near(siglip, folder):
    clip = load_clip(str(folder), "bfloat16")
    for name, given in (("text_features", ["a cat"]), ("image_features", [PHOTO])):
        cosine = getattr(clip, name)(given) @ getattr(siglip, name)(given).T
        np.testing.assert_allclose(cosine, 1, atol=2e-3)


def test_probabilities_by_softmax_and_by_sigmoid(siglip, vit_clip):
    names, plain = ("cat", "dog", "photo"), {"templates": "{}"}
    logits = siglip.image_features([PHOTO]) @ siglip.class_features(names, **plain).T
    logits = siglip.scale * logits + siglip.params["logit_bias"]
    softmax = siglip.classify([PHOTO], names, **plain).probabilities
    np.testing.assert_allclose(softmax.sum(), 1, rtol=1e-6)
    np.testing.assert_allclose(softmax, jax.nn.softmax(logits), rtol=1e-5)
    sigmoid = siglip.classify([PHOTO], names, scores="sigmoid", **plain).probabilities
    np.testing.assert_allclose(sigmoid, jax.nn.sigmoid(logits), rtol=1e-5)
    with pytest.raises(UserError, match="scores='sigmoid' is for models that were trained with it"):
        vit_clip.classify([PHOTO], names, scores="sigmoid")
    with pytest.raises(UserError, match="choose one of softmax, sigmoid"):
        siglip.classify([PHOTO], names, scores="tanh")


def test_cells_are_what_the_head_pools(siglip):
    params = siglip.params["vision"]
    pixels = jnp.asarray(siglip.preprocess(open_photo()))[None]
    tower = siglip.image_tower

    @jax.jit
    def run(params, pixels):
        """What the tower returns, and its last states as they leave its last norm."""
        variables = {"params": params}
        seen = tower.apply(variables, pixels)
        last = seen.hidden_states[-1]
        return seen, tower.apply(variables, last, method=lambda tower, x: tower.post_norm(x))

    seen, norm = run(params, pixels)
    assert isinstance(tower, SigLIPViT) and not isinstance(tower, ViT)
    assert seen.grid.shape == (1, 4, 4, 40)
    cells, width = siglip.config.vision.grid
    assert (cells, width) == (16, 40)
    np.testing.assert_allclose(seen.grid.reshape(1, 16, 40), norm, rtol=1e-6)


def test_any_photo_becomes_a_square():
    preprocess = preprocess_from_json({}, 16)
    pixels = preprocess(open_photo())
    assert pixels.shape == (16, 16, 3) and np.abs(pixels).max() <= 1
    assert preprocess_from_json(preprocess_to_json(preprocess), 16) == preprocess
    smooth = preprocess_from_json({"resample": 2, "size": {"height": 16, "width": 16}}, 16)
    assert smooth.resample == "bilinear" and repr(smooth) != repr(preprocess)
    assert not np.array_equal(smooth(open_photo()), pixels)
    assert preprocess_from_json(preprocess_to_json(smooth), 16) == smooth
    assert preprocess.mean == preprocess.std == HALF


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"size": {"height": 32, "width": 32}}, "the image tower's, 16 x 16 pixels"),
        ({"size": {"shortest_edge": 16}}, "the image tower's, 16 x 16 pixels"),
        ({"resample": 1}, r"resample=1 .* is not 3 \(bicubic\) or 2 \(bilinear\)"),
        ({"rescale_factor": 1.0}, "rescale_factor=1.0 .* is not 1/255"),
        ({"do_center_crop": True}, "do_center_crop=True"),
        ({"crop_pct": 0.9}, "crop_pct=0.9"),
        ({"image_processor_type": "CLIPImageProcessor"}, "image_processor_type='CLIPImage"),
        ({"max_num_patches": 256}, "max_num_patches=256"),
    ],
)
def test_other_pixels_are_refused(fields, message):
    with pytest.raises(UserError, match=message):
        preprocess_from_json(fields, 16)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model_type": "siglip2"}, "a NaFlex model, whose images have any shape: give a SigLIP 2"),
        ({"text_config": {"projection_size": 96}}, "is not the image tower's width, 768"),
        ({"vision_config": {"vision_use_head": False}}, "vision_use_head=False"),
        ({"vision_config": {"patch_size": 512}}, "a part of 224 pixels"),
        ({"text_config": {"model_type": "clip_text_model"}}, "model_type='clip_text_model'"),
        ({"text_config": {"hidden_size": 100}}, "a divisor of the width 100"),
    ],
)
def test_other_models_are_refused(fields, message):
    with pytest.raises(UserError, match=message):
        siglip_from_json({"model_type": "siglip"} | fields)


@pytest.mark.parametrize("source", [name for name in KNOWN if "/siglip" in name])
def test_published_sizes_are_written_and_read(source):
    config = KNOWN[source]
    again = siglip_from_json(json.loads(json.dumps(siglip_to_json(config))))
    pad = config.text.pad  # The tokenizer says it, not the file.
    assert again.text.__dict__ | {"pad": pad} == config.text.__dict__
    assert again.vision == config.vision


class TestTokenizerFiles:
    def test_lengths(self, tmp_path):
        write_tokenizer(tmp_path, "siglip")
        assert SigLIPTokenizer.from_directory(tmp_path).length == 64
        write_tokenizer(tmp_path, "siglip", model_max_length=16)
        assert SigLIPTokenizer.from_directory(tmp_path).length == 16

    def test_texts_are_cleaned(self, tmp_path):
        read = SigLIPTokenizer.from_directory(write_tokenizer(tmp_path, "siglip"))
        assert read.encode("  A photo, of\n\ta CAT!! ") == read.encode("a photo of a cat")
        assert read.encode("") == read.encode(" ?! ") == []
        assert read.eos not in read.encode("</s>")
        words = [read.decode(i).strip() for i in read.encode("a cats")]
        assert words == ["a", "cat", "s"]
        assert [read.word(i) for i in read.encode("a cats")] == ["a", "cat", "-s"]

    def test_siglip_2_keeps_signs_and_drops_capitals(self, tmp_path):
        read = SigLIPTokenizer.from_directory(write_tokenizer(tmp_path, "siglip2"))
        assert read.encode("A Cat!") == read.encode("a cat!") != read.encode("a cat")
        assert 4 in read.encode("a\n\ncat")  # an added word
        assert (read.bos, read.eos, read.pad) == (None, 1, 0)

    def test_bytes_stand_for_letters_that_have_no_piece(self, tmp_path):
        for kind in TOKENIZERS:
            read = SigLIPTokenizer.from_directory(write_tokenizer(tmp_path, kind))
            with pytest.raises(UserError, match=r"the text 'aé aé aé aé\.\.\.' has 12"):
                read(["aé " * 40])

    @pytest.mark.parametrize(
        ("path", "value", "message"),
        [
            (("model", "type"), "WordPiece", "is not one of Unigram, BPE"),
            (("model", "unk_id"), 10**6, "unk_id=1000000"),
            (("model", "vocab"), [["a", True]], "a list of pieces, each with its score"),
            (("model", "vocab"), [["a", 0.0], ["b", 0.0], ["c", 0.0]], "no piece '</s>'"),
            (("normalizer",), {"precompiled_charsmap": "?"}, "a map of characters in base64"),
            (("normalizer",), {"precompiled_charsmap": "AAAA"}, "cannot be read"),
            (("added_tokens",), [{"id": 7, "content": "</s>"}], "where 1 follows"),
        ],
    )
    def test_damage_is_refused(self, tmp_path, path, value, message):
        content = unigram()
        place = content
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value
        write_json(tmp_path / "tokenizer.json", content)
        with pytest.raises(UserError, match=message):
            SigLIPTokenizer.from_directory(tmp_path)

    def test_without_a_file(self, tmp_path):
        (tmp_path / "spiece.model").write_bytes(b"")
        with pytest.raises(UserError, match=r"holds no tokenizer.json, which SigLIP's"):
            SigLIPTokenizer.from_directory(tmp_path)
