import pytest

from common.clip import Tokenizer
from tools.pocket.vocabulary import learn_merges, write_tokenizer


def test_merges_by_frequency_then_alphabet():
    assert learn_merges(["ab ab ab cd"], least=1) == [("a", "b</w>"), ("c", "d</w>")]
    assert learn_merges(["cd ab"], least=1) == [("a", "b</w>"), ("c", "d</w>")]
    # "b c" occurs in both words, "a b" in the first only.
    assert learn_merges(["abc bc"], least=1) == [("b", "c</w>"), ("a", "bc</w>")]


def test_repeated_letters():
    merges = learn_merges(["aaaa"], least=1)
    assert "".join(merges[-1]) == "aaaa</w>"


def test_rare_words_stay_in_pieces_unless_asked_for():
    assert learn_merges(["ab ab cd"], least=2) == [("a", "b</w>")]
    assert learn_merges(["ab ab cd"], least=2, further=["cd"]) == [("a", "b</w>"), ("c", "d</w>")]


@pytest.fixture
def tokenizer(tmp_path):
    merges = learn_merges(["a photo of a zorvik, striped"] * 3, least=3)
    write_tokenizer(merges, tmp_path)
    return Tokenizer.from_directory(tmp_path)


def test_the_files_are_a_clip_tokenizer(tokenizer):
    text = "A photo of a  Zorvik, striped."
    ids = tokenizer.encode(text)
    assert [tokenizer.decode(i) for i in ids] == [
        "a",
        "photo",
        "of",
        "a",
        "zorvik",
        ",",
        "striped",
        ".",
    ]
    assert (tokenizer.bos, tokenizer.eos) == (tokenizer.vocab_size - 2, tokenizer.vocab_size - 1)
    assert tokenizer.pad == tokenizer.eos
    packed = tokenizer([text], length=12)[0]
    assert packed.tolist() == [tokenizer.bos, *ids, *[tokenizer.eos] * 3]


def test_any_text_has_tokens(tokenizer):
    ids = tokenizer.encode("größe 東京 42")
    assert tokenizer._tokenizer.decode(ids) == "größe 東京 4 2"
