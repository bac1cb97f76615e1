import gzip
import json

import jax.numpy as jnp
import numpy as np
import pytest

from common.clip.text import pool_positions
from common.clip.tokenizer import Tokenizer
from common.data.templates import TEMPLATES
from common.errors import UserError
from mcti_jax.prompts import Prompts, insert
from tests.mcti.tiny import TEXT, NumberTokenizer

SLOT = ("7 {}", "7 8 9 {} 10")


def prompts(vectors=1, templates=SLOT):
    return Prompts.from_templates(NumberTokenizer(), templates, vectors)


def test_slots_hold_ids_that_no_vocabulary_has():
    found = prompts(vectors=2)
    assert found.ids[0, :6].tolist() == [1000, 7, 1009, 1010, 1001, 1001]
    assert found.ids[1, :8].tolist() == [1000, 7, 8, 9, 1009, 1010, 10, 1001]
    assert found.slot.tolist() == [2, 4]
    assert found.end.tolist() == [4, 7]


@pytest.mark.parametrize("vectors", [1, 3])
def test_reference_pools_at_the_largest_id(vectors):
    """The reference's text encoder takes the argmax, which an added word wins."""
    found = prompts(vectors)
    reference = pool_positions(jnp.asarray(found.ids), "argmax", TEXT.eos)
    assert found.pool_at("placeholder").tolist() == reference.tolist()
    clip = pool_positions(jnp.asarray(found.ids), "eos", TEXT.eos)
    assert found.pool_at("eos").tolist() == clip.tolist()


def test_cut_leaves_out_padding_only():
    full, cut = prompts(), prompts().cut()
    assert cut.ids.shape == (2, full.end.max() + 1)
    np.testing.assert_array_equal(cut.ids, full.ids[:, : cut.ids.shape[1]])
    assert (full.ids[:, cut.ids.shape[1] :] == TEXT.pad).all()


@pytest.mark.parametrize("template", ["7 8", "{} 7 {}"])
def test_template_without_one_slot(template):
    with pytest.raises(UserError, match=r"needs one \{\} for the token"):
        prompts(templates=[template])


def test_unknown_pool():
    with pytest.raises(UserError, match="'mean' is unknown; choose one of placeholder, eos"):
        prompts().pool_at("mean")


def test_insert_replaces_the_slot_and_nothing_else():
    embedded = np.arange(2 * 5 * 3, dtype=np.float32).reshape(2, 5, 3)
    vectors = -1 - np.arange(2 * 2 * 3, dtype=np.float32).reshape(2, 2, 3)
    expected = embedded.copy()
    expected[0, 1:3], expected[1, 3:5] = vectors
    filled = insert(jnp.asarray(embedded), jnp.array([1, 3]), jnp.asarray(vectors))
    np.testing.assert_array_equal(filled, expected)


@pytest.fixture
def clip_tokenizer(shared_data, tmp_path):
    """CLIP's own vocabulary: bytes, bytes that end a word, merges, start and end."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(b) for b in printable] + [chr(256 + n) for n in range(256 - len(printable))]
    path = shared_data / "clip_vocab" / "bpe_simple_vocab_16e6.txt.gz"
    merges = gzip.decompress(path.read_bytes()).decode().split("\n")[1 : 49152 - 256 - 2 + 1]
    words = [*letters, *(f"{letter}</w>" for letter in letters)]
    words += ["".join(merge.split()) for merge in merges]
    words += ["<|startoftext|>", "<|endoftext|>"]
    (tmp_path / "vocab.json").write_text(json.dumps({word: n for n, word in enumerate(words)}))
    (tmp_path / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]))
    return Tokenizer.from_directory(tmp_path)


@pytest.mark.parametrize("vectors", [1, 4])
def test_the_27_prompts_in_clips_vocabulary(clip_tokenizer, vectors):
    found = Prompts.from_templates(clip_tokenizer, TEMPLATES["textual_inversion"], vectors)
    positions, count = np.unique(found.slot, return_counts=True)
    assert dict(zip(positions.tolist(), count.tolist(), strict=True)) == {5: 8, 6: 17, 8: 2}
    np.testing.assert_array_equal(found.end, found.slot + vectors)
    assert found.ids[0, 5] == 49408
    assert found.cut().ids.shape == (27, 9 + vectors)
