"""Prompts with weights, of any length and with learned words, as chunks and text states."""

import jax
import numpy as np
import pytest

from common.diffusion import text_encoding
from common.diffusion.chunks import chunk_weights, prompt_chunks, weigh
from common.diffusion.states import prompt_groups
from common.diffusion.text_encoding import encode_prompts, encode_weighted, vocabulary_of
from common.errors import UserError

WIDTH = 24
MANY = {"<ten>": np.arange(10 * WIDTH, dtype=np.float32).reshape(10, WIDTH) / 100}


def lengths(model, prompt, words=MANY):
    chunks = prompt_chunks(vocabulary_of(model, words), prompt)
    return [sum(len(piece.vectors) for piece in chunk) for chunk in chunks]


CHUNKS = {
    "nothing": ("", [0]),
    "75 tokens": ("d" * 75, [75]),
    "76 tokens": ("d" * 76, [75, 1]),
    "150 tokens": ("d" * 150, [75, 75]),
    "151 tokens": ("d" * 151, [75, 75, 1]),
    "BREAK": ("a BREAK b", [1, 1]),
    "BREAKs alone": ("BREAK BREAK", [0, 0]),
    "a phrase at the end": (f"{'d' * 60}, {'c' * 30}", [61, 30]),
    "a long phrase at the end": (f"{'d' * 54}, {'c' * 30}", [75, 10]),
    "a word that does not fit": (f"{'d' * 70} <ten> b", [70, 11]),
    "a word that just fits": (f"{'d' * 65} <ten> b", [75, 1]),
    "a word and a letter": (f"{'d' * 64} <ten> b", [75]),
    "a phrase with a word": (f"{'d' * 60}, c<ten> bbbb", [61, 15]),
    "a word behind a phrase": (f"{'d' * 60}, {'c' * 14} <ten>", [61, 24]),
}


@pytest.mark.parametrize(("prompt", "expected"), CHUNKS.values(), ids=CHUNKS)
def test_chunks_of_a_prompt(model, prompt, expected):
    assert lengths(model, prompt) == expected


def test_a_word_longer_than_a_chunk_is_refused(model):
    words = {"<long>": np.ones((76, WIDTH), np.float32)}
    with pytest.raises(UserError, match="<long> has 76 vectors, and 75 fit into a chunk"):
        lengths(model, "<long>", words)


def test_the_vectors_of_a_word_stay_together_and_have_its_weight(model):
    known = vocabulary_of(model, MANY)
    first, second = prompt_chunks(known, f"{'d' * 70} (<ten>:1.5) b")
    np.testing.assert_array_equal(known.framed(second)[1:11], MANY["<ten>"])
    weights = chunk_weights(known, second)
    np.testing.assert_array_equal(weights, [1.0] + [1.5] * 10 + [1.0] * 66)
    assert (chunk_weights(known, first) == 1).all()


def test_without_weights_the_states_are_the_plain_ones(model):
    (weighted,) = encode_weighted(model, ["a dog <ten>"], MANY)
    (plain,) = encode_prompts(model, ["a dog <ten>"], MANY).states
    np.testing.assert_array_equal(weighted.states, plain)


def test_many_texts_pass_the_tower_in_parts(model, monkeypatch):
    """The memory of a thousand classes is that of some of them."""
    devices = jax.device_count()
    prompts = [
        f"{'a ' * (number // 40)}dog {'a ' * (number % 40)}" for number in range(3 * devices)
    ]
    whole = encode_prompts(model, prompts, {}).states
    seen, whole_batch = [], text_encoding._conditions

    def conditions(params, rows, *, encoders):
        seen.append(len(rows[0][0]))
        return whole_batch(params, rows, encoders=encoders)

    monkeypatch.setattr(text_encoding, "_conditions", conditions)
    monkeypatch.setattr(text_encoding, "CHUNKS_AT_ONCE", devices)
    found = encode_prompts(model, prompts, {}).states
    np.testing.assert_allclose(found, whole, rtol=1e-5, atol=1e-6)
    assert seen == [1]  # A text for each device, in batches of one shape.


def test_weights_keep_the_mean():
    states = np.random.default_rng(0).normal(0.3, 1, (5, 4)).astype(np.float32)
    weighted = weigh(states, np.float32([1, 2, 0.5, 1, 1]))
    np.testing.assert_allclose(weighted.mean(), states.mean(), rtol=1e-5)
    np.testing.assert_allclose(weighted[1] / weighted[0], 2 * states[1] / states[0], rtol=1e-5)
    assert np.isfinite(weigh(states, np.zeros(5, np.float32))).all()


def test_shorter_prompts_are_filled_up_with_empty_chunks(model):
    (blank,) = encode_prompts(model, [""], {}).states
    long = "d" * 100
    groups = prompt_groups(model, ["a dog", long], "a cat", {}, True)
    assert [(group.texts, group.conditions.states.shape[1]) for group in groups] == [
        (("a dog",), 77),
        ((long,), 154),
    ]
    (cat,) = encode_prompts(model, ["a cat"], {}).states
    np.testing.assert_array_equal(groups[0].opposite.states[0], cat)
    np.testing.assert_array_equal(groups[1].opposite.states[0], np.concatenate([cat, blank]))
    (group,) = prompt_groups(model, ["a dog", "a cat"], long, {}, True)
    np.testing.assert_array_equal(group.conditions.states[1], np.concatenate([cat, blank]))
