"""Words of learned tokens, and which token is whose when files lie in another order."""

import numpy as np
import pytest

from common.errors import UserError
from mcti_jax.formats import (
    LearnedToken,
    file_stem,
    in_class_order,
    read_tokens,
    token_word,
    token_words,
    write_token,
)
from tests.mcti.some_token import some_token

CLASSES = ("c1", "c2", "c10", "crane", "crane")


def write_tokens(directory, classnames=CLASSES, rename=lambda stem: stem):
    """Tokens of width 1 whose number is their class's, in files that may be renamed."""
    for index, (word, name) in enumerate(zip(token_words(classnames), classnames, strict=True)):
        facts = {"class": name, "class_index": str(index)}
        vectors = np.full((1, 1), index, np.float32)
        path = write_token(directory, LearnedToken(word, vectors, facts), "diffusers")
        path.rename(path.with_stem(rename(path.stem)))
    return directory


@pytest.mark.parametrize("rename", [lambda stem: stem, lambda stem: stem[::-1]])
def test_files_in_any_order(tmp_path, rename):
    """In a folder c10 comes before c2, and crane-2 before crane."""
    tokens = read_tokens(write_tokens(tmp_path, rename=rename))
    order = [float(token.vectors[0, 0]) for token in tokens]
    assert order != sorted(order)
    assert in_class_order(tokens, CLASSES).ravel().tolist() == [0, 1, 2, 3, 4]


def test_other_data_number_the_classes_their_own_way(tmp_path):
    tokens = read_tokens(write_tokens(tmp_path, CLASSES[:4]))
    found = in_class_order(tokens, ("crane", "c10", "c1", "c2"))
    assert found.ravel().tolist() == [3, 2, 0, 1]


@pytest.mark.parametrize(
    ("classnames", "sentence"),
    [
        (("c1", "c2", "c10", "crane", "dog"), "^the run has not learned 'dog': give data of"),
        (("c1", "c2", "c10"), "^the data set lacks 'crane': give data of"),
        (("crane", "crane", "c1", "c2", "c10"), "several classes of the run have one name"),
        (("c1", "c2", "c10", "crane"), "several classes of the run have one name"),
    ],
)
def test_other_classes_are_refused(tmp_path, classnames, sentence):
    tokens = read_tokens(write_tokens(tmp_path))
    with pytest.raises(UserError, match=sentence):
        in_class_order(tokens, classnames)


@pytest.mark.parametrize("facts", [{}, {"class": "c1"}, {"class": "c1", "class_index": "one"}])
def test_tokens_that_do_not_say_their_class(facts):
    token = LearnedToken("<c1>", np.zeros((1, 1), np.float32), facts)
    with pytest.raises(UserError, match="does not say which class it is"):
        in_class_order([token], ("c1",))


@pytest.mark.parametrize("word", ["", "two words", "<a>\n"])
def test_token_must_be_one_word(word):
    with pytest.raises(UserError, match="one word"):
        LearnedToken(word, np.ones((1, 8), np.float32))


def test_words_are_lower_case_in_brackets():
    assert token_word("Siberian husky") == "<siberian-husky>"
    assert token_word("737-200 / A_3 (big)") == "<737-200-a-3-big>"
    assert token_word("Café 犬") == "<café-犬>"
    assert token_word("ﬁsh²") == "<fish2>"
    assert token_word("../../etc") == "<etc>"


def test_words_differ_and_nothing_is_rejected():
    names = ["dog", "Dog", "dog-2", "DOG!", "", "?"]
    words = ("<dog>", "<dog-3>", "<dog-2>", "<dog-4>", "<class>", "<class-2>")
    assert token_words(names) == words


def test_long_names_keep_short_and_different_files(tmp_path):
    words = token_words(["犬" * 300, "犬" * 301, "x " * 300])
    paths = {word: write_token(tmp_path, some_token(word), "diffusers") for word in words}
    assert len(set(paths.values())) == 3
    assert all(word == f"<{path.stem}>" for word, path in paths.items())


def test_file_is_named_after_the_word():
    names = ["Siberian husky", "Siberian Husky", "c1", "c10", "Café", "İstanbul", "ﬁsh²"]
    for word in token_words(names):
        assert f"<{file_stem(word)}>" == word
