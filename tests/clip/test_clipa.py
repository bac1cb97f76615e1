"""CLIPA without PyTorch: its files, its tokens, and the models that are read beside it."""

import json
import re
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from common.clip import load_clip, open_clip, save_clip
from common.clip.clipa import CLIPAViT
from common.clip.clipa_files import clipa_from_json
from common.clip.clipa_tokenizer import CLIPATokenizer
from common.clip.config import ViTConfig
from common.clip.families import family_of, find_family
from common.clip.families.clipa import CLIPA
from common.clip.families.open_clip import VIT
from common.clip.known import KNOWN, describe_clip
from common.clip.preprocess import Preprocess
from common.errors import UserError
from common.files import write_json
from tests.clip.published import (
    IMAGENET,
    clipa_content,
    small_clipa,
    word_pieces,
    write_word_pieces,
)

pytestmark = pytest.mark.usefixtures("quick_compiler")
SENTENCES = (
    "A photo of a CAT.",
    "  dancing &amp; a   dog\n\tx",
    "",
    "[SEP] cat [MASK]",
    "Café",
    "x" * 101 + " cat",
)


@pytest.fixture(scope="module")
def clipa(tmp_path_factory):
    return small_clipa(tmp_path_factory.mktemp("words"))


@pytest.fixture(scope="module")
def tokenizer(clipa):
    return clipa.tokenizer


def test_what_is_saved_is_loaded(clipa, tmp_path):
    save_clip(clipa, tmp_path)
    assert find_family(tmp_path) is family_of(clipa.config) is CLIPA
    clip = load_clip(str(tmp_path))
    assert (clip.config, clip.preprocess) == (clipa.config, clipa.preprocess)
    assert clip.tokenizer.fingerprint == clipa.tokenizer.fingerprint
    assert isinstance(clip.image_tower, CLIPAViT)
    jax.tree.map(np.testing.assert_array_equal, clip.params, clipa.params)
    described = describe_clip(str(tmp_path))
    assert jax.tree.map(np.shape, described.params) == jax.tree.map(np.shape, clip.params)
    model = json.loads((tmp_path / "open_clip_config.json").read_text())["model_cfg"]
    assert model["text_cfg"]["tokenizer_kwargs"] == {"strip_sep_token": True}
    assert load_clip(str(tmp_path / "open_clip_model.safetensors")).config == clipa.config
    (tmp_path / "open_clip_config.json").unlink()
    with pytest.raises(UserError, match="is the weights alone"):
        load_clip(str(tmp_path / "open_clip_model.safetensors"))


def test_its_feature_is_of_the_patches_alone(clipa):
    pixels = jax.random.normal(jax.random.key(0), (1, 28, 28, 3))
    output = jax.jit(clipa.image_tower.apply)({"params": clipa.params["vision"]}, pixels)
    patches = np.asarray(output.hidden_states[-1][:, 1:])
    assert output.grid.shape == (1, 2, 2, 80)
    mean = patches.mean(axis=1)
    centred = (mean - mean.mean()) / np.sqrt(mean.var() + 1e-5)
    norm = clipa.params["vision"]["post_norm"]
    np.testing.assert_allclose(output.pooled, centred * norm["scale"] + norm["bias"], atol=1e-5)


def test_photos_are_squeezed(clipa):
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8))
    pixels = np.asarray(photo.resize((28, 28), Image.Resampling.BILINEAR), np.float32) / 255
    wanted = (pixels - np.float32(IMAGENET["mean"])) / np.float32(IMAGENET["std"])
    np.testing.assert_allclose(clipa.preprocess(photo), wanted, rtol=1e-5, atol=1e-6)


def test_texts_begin_with_a_start_and_end_in_zeros(clipa):
    (row,) = clipa.tokenizer(["a cat"])
    words = [word_pieces().index(word) for word in ("a", "cat")]
    assert clipa.tokenizer.length == 32 and clipa.tokenizer.room == 30
    assert row.tolist() == [101, *words, *[0] * 29]
    assert clipa.tokenizer.encode("a [SEP] cat") == [words[0], 0, words[1]]
    spelled = [clipa.tokenizer.word(token) for token in clipa.tokenizer.encode("Dogs catx")]
    assert spelled == ["dog", "-s", "cat", "-x"]


def test_its_texts_see_all_of_their_tokens(clipa):
    text = clipa.config.text
    assert (text.causal, text.pool, text.bos, text.eos, text.pad) == (False, "last", 101, 0, 0)
    ids = jnp.asarray(clipa.tokenizer(["a cat", "a dog"]))
    embeddings = jnp.asarray(clipa.params["text"]["token_embedding"])[ids]
    states = jax.jit(clipa.text_tower.apply)(
        {"params": clipa.params["text"]}, embeddings, jnp.array([31, 31])
    ).hidden_states
    first = np.asarray(states[1][:, 0])
    assert np.abs(first[0] - first[1]).max() > 1e-3  # The start sees the word behind it.


def test_tokens_are_those_of_transformers(tokenizer, tmp_path):
    """Its BERT tokenizer of the same pieces, with `[SEP]` stripped as by open_clip."""
    from transformers import BertTokenizerFast

    write_word_pieces(tmp_path)
    theirs = BertTokenizerFast.from_pretrained(tmp_path, do_lower_case=True)
    # Mended Unicode and HTML come before it, in open_clip as here.
    texts = [text.replace("&amp;", "&") for text in SENTENCES]
    options = {"padding": "max_length", "max_length": 32, "truncation": True}
    wanted = np.asarray(theirs(texts, **options)["input_ids"])
    wanted[wanted == theirs.sep_token_id] = 0
    np.testing.assert_array_equal(tokenizer(SENTENCES, truncate=True), wanted)
    tokenizer.save(tmp_path / "saved")
    again = CLIPATokenizer.from_directory(tmp_path / "saved")
    np.testing.assert_array_equal(again(SENTENCES, truncate=True), wanted)
    theirs = BertTokenizerFast.from_pretrained(tmp_path / "saved")
    assert theirs("a cat")["input_ids"] == [101, *again.encode("a cat"), 102]


ODD_TOKENIZERS = {
    "none": ({}, "neither tokenizer.json nor vocab.txt, which CLIPA's .*bert-base-uncased"),
    "no words": ({"vocab.txt": ""}, "is empty|has no piece"),
    "a word twice": ({"vocab.txt": "[PAD]\ncat\ncat\n"}, "names a piece twice"),
    "no start": ({"vocab.txt": "[PAD]\n[UNK]\n[SEP]\n[MASK]\n"}, r"has no piece \[CLS\]"),
    "padding elsewhere": (
        {"vocab.txt": "[UNK]\n[PAD]\n[CLS]\n[SEP]\n[MASK]\n"},
        r"\[PAD\] is not the first piece",
    ),
    "CLIP's": ({"tokenizer.json": {"model": {"type": "BPE", "vocab": {"a": 0}}}}, "type='BPE'"),
    "a vocabulary that is a list": (
        {"tokenizer.json": {"model": {"type": "WordPiece", "vocab": ["a"]}}},
        "vocab=",
    ),
    "longer words": (
        {
            "tokenizer.json": {
                "model": {"type": "WordPiece", "vocab": {"a": 0}, "max_input_chars_per_word": 200}
            }
        },
        "max_input_chars_per_word=200 .* is not 100",
    ),
    "capitals": (
        {
            "vocab.txt": "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n",
            "tokenizer_config.json": {"do_lower_case": False},
        },
        "do_lower_case=False",
    ),
}


@pytest.mark.parametrize(("files", "message"), ODD_TOKENIZERS.values(), ids=ODD_TOKENIZERS)
def test_tokenizers_of_another_kind(files, message, tmp_path):
    for name, text in files.items():
        made = text if isinstance(text, str) else json.dumps(text)
        (tmp_path / name).write_text(made)
    with pytest.raises(UserError, match=message):
        CLIPATokenizer.from_directory(tmp_path)


def in_vision(**fields):
    made = clipa_content()
    made["model_cfg"]["vision_cfg"] |= fields
    return made


ODD = {
    "a norm ahead": (in_vision(no_ln_pre=False), "no_ln_pre=False .* is not True, as in CLIPA's"),
    "the class token": (in_vision(pool_type="tok"), "pool_type='tok' .* is not 'avg'"),
    "a norm before the mean": (in_vision(final_ln_after_pool=None), "final_ln_after_pool=None"),
    "a pool in a list": (in_vision(pool_type=["avg"]), r"pool_type=\['avg'\]"),
    "a residual network": (in_vision(layers=[1, 1, 1, 1], image_size=32), "layers=.* whole number"),
    "causal texts": (clipa_content(no_causal_mask=False), "no_causal_mask=False"),
    "pooled at the largest": (clipa_content(pool_type="argmax"), "pool_type='argmax' .* 'last'"),
    "a tokenizer without name": (
        clipa_content(hf_tokenizer_name=None),
        "lacks .*hf_tokenizer_name",
    ),
    "a tokenizer that is a list": (clipa_content(hf_tokenizer_name=["x"]), "hf_tokenizer_name="),
    "10**9 layers": (clipa_content(layers=1e9), "text_cfg.layers="),
    "positions of waves": (in_vision(pos_embed_type="sin_cos_2d"), "pos_embed_type="),
    "no image tower": (
        {"model_cfg": clipa_content()["model_cfg"] | {"vision_cfg": 1}},
        "vision_cfg=1",
    ),
}


@pytest.mark.parametrize(("config", "message"), ODD.values(), ids=ODD)
def test_what_is_not_clipa(config, message):
    with pytest.raises(UserError, match=message):
        clipa_from_json(config)


def test_other_arguments_of_the_tokenizer_make_another_model(tmp_path):
    write_json(
        tmp_path / "open_clip_config.json", clipa_content(tokenizer_kwargs={"clean": "lower"})
    )
    assert find_family(tmp_path) is VIT
    with pytest.raises(UserError, match=r"hf_tokenizer_name='bert.* of CLIPA alone is supported"):
        describe_clip(str(tmp_path))


OTHERS = {
    "EVA": ({"vision_cfg": {"timm_model_name": "eva02_base"}}, "timm's, such as .*EVA"),
    "MobileCLIP": (
        {
            "vision_cfg": {"timm_model_name": "fastvit_mci1"},
            "text_cfg": {"no_causal_mask": True, "context_length": 77},
        },
        "timm's, such as .*MobileCLIP, are not supported",
    ),
    "XLM-RoBERTa": ({"text_cfg": {"hf_model_name": "xlm-roberta-base"}}, "RoBERTa and mT5"),
    "CoCa": ({"multimodal_cfg": {"layers": 12}}, "the text decoder of CoCa"),
    "SigLIP": ({"init_logit_bias": -10}, "SigLIP is read in Hugging Face's or big_vision's"),
    "MetaCLIP 2": (
        {"text_cfg": {"hf_tokenizer_name": "facebook/xlm-v-base", "pool_type": "eos"}},
        "hf_tokenizer_name='facebook/xlm-v-base' .* of CLIPA alone",
    ),
}


@pytest.mark.parametrize(("changes", "message"), OTHERS.values(), ids=OTHERS)
def test_models_of_other_libraries_are_named(changes, message):
    model = {"embed_dim": 512, "vision_cfg": {}, "text_cfg": {}} | changes
    with pytest.raises(UserError, match=message):
        open_clip.clip_from_json({"model_cfg": model})


@pytest.mark.parametrize(
    "source", [name for name in KNOWN if not re.search("google|metaclip-2", name)]
)
def test_published_sizes_survive_open_clips_layout(source):
    """A width of an MLP is written as a ratio, which is rounded."""
    config = KNOWN[source]
    family = CLIPA if "CLIPA" in source else VIT
    if family is VIT and "resnet" not in source:
        config = replace(config, text=replace(config.text, pool="eos", bos=49406, eos=49407, pad=0))
        assert open_clip.clip_from_json(open_clip.clip_to_json(config)) == config
    elif family is CLIPA:
        assert CLIPA.read_config(CLIPA.files(config, Preprocess(224))["open_clip_config.json"]) == (
            config
        )


def test_any_ratio_is_read_as_it_was_written():
    for width in range(1, 400, 3):
        for mlp_width in range(1, 3000, 7):
            tower = ViTConfig(8, 4, width, 1, 1, mlp_width, 8)
            assert int(width * open_clip._mlp_ratio(tower)) == mlp_width
