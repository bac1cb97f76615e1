"""The bundled language model knows its world and the forms of the prompts."""

import jax.numpy as jnp
import pytest

from common.language import load_lm, write_texts
from common.language.prompts import CAPTION, SEPARATOR, question
from common.pocket.world import COLOURS, SHAPES


@pytest.fixture(scope="module")
def lm():
    return load_lm("pocket")


def test_its_vocabulary_serves_the_prompts(lm):
    tokens = lm.tokenizer.encode(question("what shape is shown?"))
    assert lm.tokenizer.decode(tokens) == "Q: what shape is shown? A:"
    assert len(lm.tokenizer.encode(CAPTION)) == 3, "`lm.asking` of configs/aape_captioning.py"
    assert len(lm.tokenizer.encode(SEPARATOR)) == 1
    assert lm.tokenizer.end == lm.config.eos


def test_it_writes_captions_of_its_world(lm):
    ids = jnp.asarray([lm.tokenizer.encode(CAPTION)])
    prompts = lm.model.apply({"params": lm.params}, ids, method="embed")
    (text,) = write_texts(lm, lm.params, prompts, jnp.ones(ids.shape, bool), length=24)
    assert len(lm.tokenizer.encode(text)) < 24, "the caption ends"
    assert any(shape in text for shape in SHAPES) and any(colour in text for colour in COLOURS)
