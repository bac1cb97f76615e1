"""Caption metrics by hand, and CIDEr-D by the numbers of the COCO scripts."""

import math

import numpy as np
import pytest

from common.errors import UserError
from common.evaluation.captioning import bleu_4, caption_scores, cider_d, rouge_l, tokenise

REFERENCES = [
    ["a dog runs on the grass", "a brown dog running in a field"],
    ["two people ride bikes", "a man and a woman riding bicycles"],
    ["a plate of food on a table", "a meal on a white plate"],
]
CAPTIONS = ["a dog runs in the grass", "two people riding bikes", "a cat on a chair"]


def split(texts):
    return [text.split() for text in texts]


def test_cider_d_is_that_of_the_coco_scripts():
    found = cider_d(split(CAPTIONS), [split(own) for own in REFERENCES])
    np.testing.assert_allclose(found, [2.655074, 1.600832, 0.636079], atol=1e-6)
    assert found.mean() == pytest.approx(1.630662, abs=1e-6)


def test_cider_d_of_a_reference_itself_is_ten():
    references = [[text] for text in split(["a dog on grass now", "two red cars are here"])]
    found = cider_d([own[0] for own in references], references)
    np.testing.assert_allclose(found, 10, rtol=1e-9)


def test_repeating_a_word_does_not_pay():
    references = [split(["red dog"]), split(["blue cat"])]
    once, often = (cider_d([words.split(), ["cat"]], references)[0] for words in ("red", "red red"))
    assert 0 < often <= once


def test_bleu_by_hand():
    # 1-grams 4/5, 2-grams 3/4, 3-grams 2/3, 4-grams 1/2; six words are nearest to five.
    words = ["a", "b", "c", "d", "x"]
    references = [["a", "b", "c", "d", "e", "f"], ["a", "b"]]
    expected = (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25 * math.exp(1 - 6 / 5)
    assert bleu_4([words], [references]) == pytest.approx(expected)


def test_bleu_is_of_the_whole_set_and_clips():
    # Counts add up: 1-grams (2 + 4) / 8, then (0 + 3) / 6, (0 + 2) / 4, (0 + 1) / 2.
    captions = split(["a a a a", "a b c d"])
    references = [split(["x a y a"]), split(["a b c d"])]
    assert bleu_4(captions, references) == pytest.approx((6 / 8 * 1 / 2 * 1 / 2 * 1 / 2) ** 0.25)
    assert bleu_4([["a", "b"]], [[["a", "b"]]]) == 0


def test_rouge_by_hand():
    # Four words in order; precision 4/5, recall 4/6 against the first and 1/1 against the other.
    words = ["a", "b", "x", "c", "d"]
    references = [["a", "b", "c", "e", "d", "f"], ["x"]]
    precision, recall = 4 / 5, 1.0
    expected = (1 + 1.44) * precision * recall / (recall + 1.44 * precision)
    np.testing.assert_allclose(rouge_l([words, ["q"]], [references, [["a"]]]), [expected, 0])


def test_words():
    text = "A dog, isn\u2019t it? \"Black-and-white\": 3.5 m; it's the dog's."
    assert tokenise(text) == (
        *("a", "dog", "is", "n't", "it", "black-and-white", "3.5", "m"),
        *("it", "'s", "the", "dog", "'s"),
    )


def test_scores_of_texts():
    found = caption_scores(["A dog runs in the grass."], [["a dog runs in the grass"]])
    assert found["bleu_4"] == pytest.approx(1) and found["rouge_l"] == pytest.approx(1)
    assert found["cider_d"] == 0, "one picture has no rare words"


@pytest.mark.parametrize(
    ("captions", "references", "sentence"),
    [
        (["a"], [["a"], ["b"]], "1 captions cannot be compared with references of 2 pictures"),
        ([], [], "0 captions"),
        (["a", "b"], [["a"], []], "picture number 1 has no reference"),
    ],
)
def test_what_cannot_be_compared(captions, references, sentence):
    with pytest.raises(UserError, match=sentence):
        caption_scores(captions, references)
