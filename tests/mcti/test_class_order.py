"""Which token is whose, when files lie in another order than classes."""

import numpy as np
import pytest

from common.errors import UserError
from mcti_jax.formats import LearnedToken, in_class_order, read_tokens, token_words, write_token

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
        (("c1", "c2", "c10", "crane", "dog"), "only one of them has dog"),
        (("c1", "c2", "c10"), "only one of them has crane"),
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
