"""Prompts: learned words as people type them, in and beside other words, and braces."""

import unicodedata

import numpy as np
import pytest

from common.diffusion.embedding import Vocabulary
from common.diffusion.words import find_words, word_stem
from common.errors import UserError
from mcti_jax.options import check_template
from tests.mcti.tiny import NumberTokenizer

WORDS = ("<dog>", "<dog2>", "<red-dog>", "<café>", "bad-hands-5", "bad-hands", "EasyNegative")


def wide(text):
    """The letters as East Asian keyboards may give them."""
    return "".join(chr(ord(letter) + 0xFEE0) for letter in text)


def found(text, words=WORDS):
    return [(text[each.start : each.end], each.word) for each in find_words(text, words)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a photo of <dog2>", [("<dog2>", "<dog2>")]),
        ("<dog><dog2>", [("<dog>", "<dog>"), ("<dog2>", "<dog2>")]),
        ("a dog2 and a red-dog", []),
        ("<DOG2> barks", [("<DOG2>", "<dog2>")]),
        ("<Red_Dog>", [("<Red_Dog>", "<red-dog>")]),
        ("<red.dog>", [("<red.dog>", "<red-dog>")]),
        (wide("<dog2>") + " here", [(wide("<dog2>"), "<dog2>")]),
        (f"<{wide('dog2')}>", [(f"<{wide('dog2')}>", "<dog2>")]),
        (unicodedata.normalize("NFD", "a <café>!"), [("<cafe\u0301>", "<café>")]),
        ("a face, bad-hands-5", [("bad-hands-5", "bad-hands-5")]),
        ("a face, <bad-hands-5>", [("<bad-hands-5>", "bad-hands-5")]),
        ("a face, <Bad_Hands_5>", [("<Bad_Hands_5>", "bad-hands-5")]),
        ("BAD-HANDS-5.", [("BAD-HANDS-5", "bad-hands-5")]),
        ("bad-hands, five", [("bad-hands", "bad-hands")]),
        ("bad-hands-50", []),
        ("bad-hands-5s", []),
        ("very-bad-hands-5", []),
        ("notbad-hands", []),
        ("(bad-hands-5:1.2)", [("bad-hands-5", "bad-hands-5")]),
        ("easynegative", [("easynegative", "EasyNegative")]),
        ("<easynegative>", [("<easynegative>", "EasyNegative")]),
        (wide("EasyNegative"), [(wide("EasyNegative"), "EasyNegative")]),
        ("", []),
        ("a < b > c", []),
        ("<>", []),
        ("ﬁve dogs ½ <dog>", [("<dog>", "<dog>")]),
        ("e\u0301" * 3 + "<dog>", [("<dog>", "<dog>")]),
    ],
)
def test_where_words_are_found(text, expected):
    assert found(text) == expected


@pytest.mark.parametrize("typed", ["<fox>", "<dog3>", "<bad-hands-6>", "<d og><fox>", "<dog!2>"])
def test_a_word_that_was_not_learned_is_refused(typed):
    with pytest.raises(UserError, match=r"was not learned; the words are <café>, <dog2>, <dog>"):
        found(typed)


def test_of_two_words_the_longer_one_counts():
    assert found("bad-hands-5 bad-hands") == [
        ("bad-hands-5", "bad-hands-5"),
        ("bad-hands", "bad-hands"),
    ]
    words = ("bad hands", "bad hands five")
    assert found("bad hands five", words) == [("bad hands five", "bad hands five")]


def test_a_word_that_may_be_either_of_two_is_refused():
    words = ("<a_b>", "<a-b>")
    assert found("<a_b>", words) == [("<a_b>", "<a_b>")]
    with pytest.raises(UserError, match=r"<a\.b> may be <a-b> or <a_b>"):
        found("<a.b>", words)


def test_words_of_the_tokenizer_stay():
    assert find_words("<sks> <dog>", WORDS, others=("<sks>",))[0].word == "<dog>"


def test_a_word_that_is_learned_counts_before_the_tokenizers_own():
    (match,) = find_words("a <dog>", WORDS, others=("<dog>",))
    assert match.word == "<dog>"


def test_many_words_are_not_all_listed():
    with pytest.raises(UserError, match="and 80 more") as caught:
        found("<fox>", tuple(f"<w{n}>" for n in range(100)))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", ["<" * 20_000, "<dog" * 5_000, "bad-" * 5_000, "e\u0301" * 9_000])
def test_long_texts_take_no_time(text):
    assert found(text) == []


@pytest.mark.parametrize(
    ("name", "stem"), [("<My_Dog>", "my-dog"), ("ﬁsh²", "fish2"), ("Café 犬", "café-犬"), ("?", "")]
)
def test_the_stem_of_a_word(name, stem):
    assert word_stem(name) == stem


TABLE = np.arange(20, dtype=np.float32).reshape(10, 2)


class Small(NumberTokenizer):
    """Twelve positions, ten words."""

    def __init__(self):
        super().__init__()
        self.bos, self.eos, self.pad, self.vocab_size, self.length = 8, 9, 9, 10, 12


def embedded(text, **words):
    vectors = {name.replace("_", "-"): np.float32(value) for name, value in words.items()}
    return Vocabulary(Small(), TABLE, vectors).embedded(text)


def test_vectors_stand_where_the_word_stands():
    rows = embedded("1 bad-hands 2", bad_hands=[[-1, -2], [-3, -4]])
    np.testing.assert_array_equal(rows[1:5], [TABLE[1], [-1, -2], [-3, -4], TABLE[2]])
    np.testing.assert_array_equal(rows[5:], TABLE[[9] * 7])
    same = embedded("1 <bad-hands> 2", bad_hands=[[-1, -2], [-3, -4]])
    np.testing.assert_array_equal(rows, same)


@pytest.mark.parametrize("width", [1, 3, 4, 768])
def test_vectors_of_another_width_are_refused_by_both(width):
    """Twice the width once became twice as many rows, and a picture."""
    with pytest.raises(
        UserError, match=f"w1 are {width} wide, and this text tower takes .* 2 wide"
    ):
        embedded("1 w1", w1=np.ones((1, width)))


@pytest.mark.parametrize(
    ("text", "count"), [("1 2 3 4 5 6 7 1 2 3 4", 0), ("1 w1", 10), ("w1 w1", 6), ("w1", 75)]
)
def test_a_prompt_too_long_with_its_vectors_is_refused(text, count):
    with pytest.raises(UserError, match=r"tokens.*, and 10 fit: shorten it"):
        embedded(text, w1=np.ones((max(count, 1), 2)))


def test_a_prompt_that_just_fits():
    assert embedded("w1 1", w1=np.ones((9, 2))).shape == (12, 2)


@pytest.mark.parametrize(
    "template", ["", "a photo", "{} and {}", "{0}", "{word}", "a { } b", "{}{}", "{{}} {}"]
)
def test_templates_without_exactly_one_place(template):
    with pytest.raises(UserError, match=r"generate.prompt=.* needs one \{\} for the learned word"):
        check_template("generate.prompt", template)


@pytest.mark.parametrize(
    "template", ["{}", "a {} {0}", "{ {} }", "{{}}", "a {} {!r} {x[0].__class__}", "}{} {", "%s {}"]
)
def test_other_braces_are_text(template):
    check_template("generate.prompt", template)


def test_a_template_names_no_other_word():
    with pytest.raises(UserError, match=r"names <dog2>, but each class has the word"):
        check_template("generate.prompt", "a {} beside <dog2>")
