"""Texts as words: where they end, and how long prompts may be."""

import re

import jax.numpy as jnp
import numpy as np
import pytest

from common.errors import UserError
from common.language import generation, write_texts
from common.language.config import KNOWN
from common.language.known import describe_lm
from common.language.sharding import lm_rules
from common.training.sharding import by_path
from tests.language.tiny import GPT2, GPTJ, random_lm


@pytest.fixture(scope="module")
def small(tokenizer):
    return random_lm(GPT2, tokenizer)


@pytest.mark.parametrize("text", ["a cat", "a cat\nQ: and a dog", " a cat"])
def test_a_text_ends_with_its_end_token_and_its_line(small, text):
    ids = [*small.tokenizer.encode(text), GPT2.eos, *small.tokenizer.encode(" no more")]
    assert generation.text_of(small, np.array(ids)) == "a cat"


def test_beams_and_greedy_decoding_by_number(small, monkeypatch):
    called = []

    def decoder(name):
        def decode(model, params, prompts, mask, **options):
            called.append((name, options))
            return jnp.full((len(prompts), options["length"]), GPT2.eos)

        return decode

    monkeypatch.setattr(generation, "greedy", decoder("greedy"))
    monkeypatch.setattr(generation, "beam_search", decoder("beam"))
    prompts, mask = jnp.zeros((2, 3, GPT2.width)), jnp.ones((2, 3), bool)
    for beams in (1, 4):
        texts = write_texts(small, small.params, prompts, mask, length=5, beams=beams)
        assert texts == ["", ""]
    assert called == [("greedy", {"length": 5}), ("beam", {"length": 5, "beams": 4})]


def test_prompts_beyond_the_positions_are_refused(small):
    prompts, mask = jnp.zeros((2, 16, GPT2.width)), jnp.ones((2, 16), bool)
    with pytest.raises(UserError, match=r"16 tokens and 5 new ones exceed .* 20 positions"):
        write_texts(small, small.params, prompts, mask, length=5)


def test_sizes_without_weights():
    found = describe_lm("openai-community/gpt2", jnp.bfloat16)
    assert found.config == KNOWN["openai-community/gpt2"]
    assert found.params["token_embedding"].dtype == jnp.bfloat16
    with pytest.raises(UserError, match="the sizes of the model 'a/b' are not known"):
        describe_lm("a/b")


@pytest.mark.parametrize("config", [GPT2, GPTJ])
def test_every_matrix_but_the_positions_is_spread(config, tokenizer):
    """What no rule names is copied to every device: a misspelt rule would show in memory alone."""
    for path, leaf in by_path({"lm": random_lm(config, tokenizer).params}).items():
        spec = next((each for rule, each in lm_rules("lm") if re.fullmatch(rule, path)), None)
        if leaf.ndim == 2 and path != "lm/position_embedding":
            assert spec is not None and spec.count("model") == 1, path
        assert spec is None or len(spec) == leaf.ndim, path
