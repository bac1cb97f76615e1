"""Templates, what they give way to, and where prompts begin."""

import jax
import numpy as np
import pytest

from common.clip import load_clip
from common.errors import UserError
from protext_jax.prompts import default_template, initial_prompts, tokenise

pytestmark = pytest.mark.usefixtures("quick_compiler")


@pytest.fixture(scope="module")
def tokenizer():
    return load_clip("pocket").tokenizer


@pytest.mark.parametrize(
    ("length", "template"),
    [(1, "a photo of a {}."), (4, "a photo of a {}."), (5, "X X X X X {}.")],
)
def test_the_template_depends_on_the_length(length, template):
    assert default_template(length) == template


def test_prompts_take_the_place_of_the_first_words(tokenizer):
    texts = tokenise(tokenizer, "a photo of a {}.", ["zorvik", "dog"], length=4)
    assert texts.ids.shape == (2, tokenizer.length)
    for row, end in zip(texts.ids, texts.end, strict=True):
        assert row[end] == tokenizer.eos and tokenizer.eos not in row[:end]
    np.testing.assert_array_equal(texts.ids[0, 1:5], tokenizer.encode("a photo of a"))
    np.testing.assert_array_equal(texts.ids[0, 5 : texts.end[0]], tokenizer.encode("zorvik."))


@pytest.mark.parametrize(
    ("template", "length", "sentence"),
    [
        ("a photo of a {}.", 5, "length=5 .* has 4 tokens in front of it"),
        ("{} texture.", 1, "has 0 tokens"),
        ("a photo of a dog.", 4, "needs one {}"),
        ("{} {}", 0, "needs one {}"),
    ],
)
def test_templates_that_prompts_do_not_fit(tokenizer, template, length, sentence):
    with pytest.raises(UserError, match=sentence):
        tokenise(tokenizer, template, ["dog"], length)


@pytest.mark.parametrize("length", [2, 4, 5])
def test_where_prompts_begin(length):
    context = np.arange(12.0).reshape(4, 3)
    prompts = np.asarray(initial_prompts(jax.random.key(0), context, length, depth=400))
    assert prompts.shape == (400, length, 3)
    assert np.array_equal(prompts[0], context[:length]) == (length <= 4)
    assert prompts[1:].std() == pytest.approx(0.02, rel=0.1)
