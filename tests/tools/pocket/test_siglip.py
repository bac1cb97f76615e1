"""The stage of the SigLIP: its tokenizer, its loss, and how it starts from a CLIP."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.clip import load_clip
from common.clip.checkpoint import abstract_params
from common.clip.siglip_tokenizer import SigLIPTokenizer
from tools.pocket.pieces import write_siglip_tokenizer
from tools.pocket.train_siglip import POSITIONS, pocket_siglip_config, sigmoid_loss, started
from tools.pocket.vocabulary import learn_merges

TEXTS = ["a photo of a red star"] * 3 + ["A zorvik, striped.", "a yellow-striped star"]


@pytest.fixture
def tokenizer(tmp_path):
    merges = learn_merges(TEXTS, least=3, further=["zor", "striped", "yellow"])
    write_siglip_tokenizer(merges, TEXTS, tmp_path, POSITIONS)
    return SigLIPTokenizer.from_directory(tmp_path)


def words(tokenizer, text):
    return [tokenizer.word(number) for number in tokenizer.encode(text)]


def test_frequent_words_are_whole_and_others_fall_into_pieces(tokenizer):
    assert words(tokenizer, "A photo of a Zorvik.") == [
        *("a", "photo", "of", "a", "zor"),
        *("-v", "-i", "-k"),
    ]
    assert words(tokenizer, "yellow-striped") == ["yellow", "-striped"]
    assert tokenizer.length == POSITIONS and tokenizer.pad == tokenizer.eos


def test_pieces_that_no_text_needs_are_left_out(tokenizer):
    vocabulary = tokenizer._tokenizer.get_vocab()
    assert "▁star" in vocabulary and "▁hoto" not in vocabulary and "▁ed" not in vocabulary


def test_the_tokenizer_is_kept_when_it_is_saved(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "again")
    again = SigLIPTokenizer.from_directory(tmp_path / "again")
    np.testing.assert_array_equal(again(TEXTS), tokenizer(TEXTS))


def test_the_loss_by_hand():
    images = jnp.eye(2)
    texts = jnp.asarray([[0.6, 0.8], [0.0, 1.0]])
    logits = 2 * np.array([[0.6, 0.0], [0.8, 1.0]]) - 1
    signs = np.array([[1, -1], [-1, 1]])
    wanted = np.log1p(np.exp(-signs * logits)).sum() / 2
    found = sigmoid_loss(images, texts, jnp.asarray(2.0), jnp.asarray(-1.0))
    assert float(found) == pytest.approx(wanted, rel=1e-6)


def test_it_starts_as_a_clip(tokenizer):
    clip = load_clip("pocket")
    shapes = abstract_params(pocket_siglip_config(tokenizer))
    drawn = jax.tree.map(lambda x: jnp.full(x.shape, 9.0), shapes)
    start = started(drawn, clip, tokenizer)
    assert jax.tree.map(jnp.shape, start) == jax.tree.map(jnp.shape, drawn)
    text, vision = clip.params["text"], clip.params["vision"]
    for mine, its in ((start["text"], text), (start["vision"], vision)):
        jax.tree.map(np.testing.assert_array_equal, mine["block_2"], its["block_2"])
    np.testing.assert_array_equal(
        start["vision"]["position_embedding"], vision["position_embedding"][1:]
    )
    star, end = tokenizer.encode("star")[0], tokenizer.eos
    rows = start["text"]["token_embedding"]
    np.testing.assert_array_equal(
        rows[star], text["token_embedding"][clip.tokenizer.encode("star")[0]]
    )
    np.testing.assert_array_equal(rows[end], text["token_embedding"][clip.tokenizer.eos])
    assert (start["vision"]["head"]["probe"] == 9).all()
    assert float(jnp.exp(start["logit_scale"])) == pytest.approx(float(clip.scale))
    assert float(start["logit_bias"]) == pytest.approx(-float(clip.scale) / 2)
