"""Token ids against CLIP's own, cleaning, packing and lengths."""

import gzip
import json

import numpy as np
import pytest

from common.clip import Tokenizer
from common.clip.tokenizer import clean
from common.errors import UserError


def test_encode_merges_words_and_lowers(tokenizer):
    cat, dog = tokenizer.encode("Cat   DOG")
    assert (tokenizer.decode(cat), tokenizer.decode(dog)) == ("cat", "dog")
    assert (tokenizer.bos, tokenizer.eos, tokenizer.pad) == (516, 517, 517)
    assert tokenizer.vocab_size == 518


def test_words_for_people(tokenizer):
    """Whole words as they are; pieces that more of a word follows with a hyphen."""
    (cat,), (c, at) = tokenizer.encode("cat"), tokenizer.encode("cx")
    assert [tokenizer.word(n) for n in (cat, c, at)] == ["cat", "c-", "x"]
    assert tokenizer.word(tokenizer.eos) == "<|endoftext|>"
    first, last = tokenizer.encode("é")  # The two bytes of one letter say nothing by themselves.
    assert (tokenizer.word(first), tokenizer.word(last)) == ("Ã-", "©")


def test_clean_mends_unescapes_and_collapses_space():
    assert clean("  Caf\u00c3\u00a9 &amp;\n\t“Tea” ") == 'café & "tea"'


def test_clean_unescapes_twice():
    # Of a text with "<", ftfy leaves the entities alone.
    assert clean("<b> &amp;amp;") == "<b> &"


def test_pack_frames_and_pads(tokenizer):
    packed = tokenizer.pack([[5, 6], []], length=6)
    bos, eos, pad = tokenizer.bos, tokenizer.eos, tokenizer.pad
    np.testing.assert_array_equal(packed, [[bos, 5, 6, eos, pad, pad], [bos, eos] + [pad] * 4])
    assert packed.dtype == np.int32


def test_seventy_five_tokens_fit_and_one_more_does_not(tokenizer):
    assert tokenizer(["cat " * 75])[0, -1] == tokenizer.eos
    with pytest.raises(UserError, match=r"'cat cat .*76 tokens, 75 fit"):
        tokenizer(["dog", "cat " * 76])


def test_truncation_keeps_the_beginning_and_the_end_token(tokenizer):
    (row,) = tokenizer(["dog " + "cat " * 90], truncate=True)
    assert len(row) == 77
    assert (row[0], row[1], row[-1]) == (tokenizer.bos, *tokenizer.encode("dog"), tokenizer.eos)


def test_special_tokens_in_a_text_are_one_id_each(tokenizer):
    assert tokenizer.encode("<|endoftext|>") == [tokenizer.eos]


def test_save_and_read_again(tokenizer, tmp_path):
    tokenizer.save(tmp_path)
    again = Tokenizer.from_directory(tmp_path)
    texts = ["a cat &amp; two dogs", "ünï 12"]
    np.testing.assert_array_equal(again(texts), tokenizer(texts))
    assert (again.bos, again.eos, again.pad) == (tokenizer.bos, tokenizer.eos, tokenizer.pad)


@pytest.mark.parametrize("present", [[], ["vocab.json"]])
def test_directory_without_tokenizer(tokenizer_directory, tmp_path, present):
    for name in present:
        (tmp_path / name).write_bytes((tokenizer_directory / name).read_bytes())
    with pytest.raises(UserError, match=r"holds no tokenizer; copy tokenizer\.json"):
        Tokenizer.from_directory(tmp_path)


def test_ids_equal_clips_own(shared_data, write_vocabulary, tmp_path):
    vocabulary = shared_data / "clip_vocab"
    lines = gzip.decompress((vocabulary / "bpe_simple_vocab_16e6.txt.gz").read_bytes())
    # CLIP reads the 48,894 merges after the first line; two specials make 49,408 ids.
    merges = lines.decode().split("\n")[1 : 49152 - 256 - 2 + 1]
    tokenizer = Tokenizer.from_directory(write_vocabulary(tmp_path, merges))
    captions = json.loads(
        gzip.decompress((shared_data / "coco_captions/captions_val2017.json.gz").read_bytes())
    )
    texts = [annotation["caption"] for annotation in captions["annotations"]]
    assert len(texts) == 25014
    texts += json.loads((vocabulary / "golden_odd_texts.json").read_text(encoding="utf-8"))
    golden = np.load(vocabulary / "golden_ids.npz")
    wanted = np.split(golden["ids"], golden["offsets"][1:-1])
    assert len(texts) == len(wanted) == 25014 + 1288
    assert (tokenizer.bos, tokenizer.eos) == (49406, 49407)
    wrong = [
        text
        for text, ids, want in zip(texts, tokenizer.encode_all(texts), wanted, strict=True)
        if list(want) != ids
    ]
    assert wrong == []
