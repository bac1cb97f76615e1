"""Decoding against plain loops without a cache and against trying every text."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.language import LMConfig, beam_search, greedy
from tests.language.tiny import random_lm

# Four tokens, so that all texts can be tried.
SMALL = LMConfig(vocab_size=4, width=8, layers=1, heads=2, mlp_width=16, positions=16, eos=2)
LENGTH = 4
# One whose texts depend on what stands before: a tied head would repeat the last token.
UNTIED = dataclasses.replace(SMALL, vocab_size=8, tied=False)
LONGER = 6

pytestmark = pytest.mark.usefixtures("quick_compiler")


@pytest.fixture(scope="module")
def small(tokenizer):
    return random_lm(SMALL, tokenizer, size=0.8)


def rows_behind(lm):
    """Log-probabilities of each next token behind a prompt and some tokens, without a cache."""

    @jax.jit
    def run(prompt, tokens):
        variables = {"params": lm.params}
        embedded = lm.model.apply(variables, tokens, method="embed")
        hidden, _ = lm.model.apply(variables, jnp.concatenate([prompt, embedded])[None])
        logits = lm.model.apply(variables, hidden[0], method="logits")
        return jax.nn.log_softmax(logits)[len(prompt) - 1 :]

    return lambda prompt, tokens: np.asarray(run(prompt, jnp.asarray(tokens, jnp.int32)))


@pytest.fixture(scope="module")
def log_probabilities(small):
    return rows_behind(small)


@pytest.fixture(scope="module")
def prompts():
    """Four prompts, of two to five tokens, padded on the left."""
    drawn = np.random.default_rng(1).normal(size=(4, 5, SMALL.width)).astype(np.float32)
    mask = np.arange(5) >= np.array([[3], [0], [2], [1]])
    return jnp.asarray(drawn), jnp.asarray(mask)


def filled(text):
    return [*text, *[SMALL.eos] * (LENGTH - len(text))]


def all_texts():
    """Texts that end with the end token, or at full length."""
    for length in range(1, LENGTH + 1):
        for text in itertools.product(range(4), repeat=length):
            inside, last = text[:-1], text[-1]
            if SMALL.eos not in inside and (last == SMALL.eos or length == LENGTH):
                yield text


def test_greedy_is_the_plain_loop(small, prompts, log_probabilities):
    found = greedy(small.model, small.params, *prompts, length=LENGTH)
    for row, prompt, mask in zip(np.asarray(found), *prompts, strict=True):
        text = []
        while len(text) < LENGTH and SMALL.eos not in text:
            filler = [0] * (LENGTH - len(text))  # One shape, one program; nothing looks ahead.
            rows = log_probabilities(prompt[mask], [*text, *filler])
            text.append(int(rows[len(text)].argmax()))
        assert row.tolist() == filled(text)


@pytest.fixture(scope="module")
def likelihoods(prompts, log_probabilities):
    """Of each prompt, how likely each text is behind it."""

    def likelihood(prompt, text):
        filler = [0] * (LENGTH - len(text))
        rows = log_probabilities(prompt, [*text, *filler])
        return sum(rows[i][token] for i, token in enumerate(text))

    texts = list(all_texts())
    own = [prompt[mask] for prompt, mask in zip(*prompts, strict=True)]
    return [{text: likelihood(prompt, text) for text in texts} for prompt in own]


PENALTIES = (1.0, 0.0, -6.0)


def test_penalties_prefer_different_texts(likelihoods):
    """Otherwise what follows would not see whether they are heeded."""
    for likely in likelihoods:
        best = {
            penalty: max(likely, key=lambda text, p=penalty: likely[text] / len(text) ** p)
            for penalty in PENALTIES
        }
        assert len(set(best.values())) > 1


@pytest.mark.parametrize("penalty", PENALTIES)
def test_with_many_beams_the_best_of_all_texts_is_found(small, prompts, likelihoods, penalty):
    found = beam_search(
        small.model, small.params, *prompts, length=LENGTH, beams=64, length_penalty=penalty
    )
    for row, likely in zip(np.asarray(found), likelihoods, strict=True):
        best = max(likely, key=lambda text, own=likely: own[text] / len(text) ** penalty)
        assert row.tolist() == filled(best)


def plain_beams(following, beams):
    """The best text, and whether a text was ever continued in the place of another."""
    opened, ended, moved = [(0.0, ())], [], False
    for length in range(1, LONGER + 1):
        candidates = sorted(
            (
                (score + likely, (*text, token), place)
                for place, (score, text) in enumerate(opened)
                for token, likely in enumerate(following(text))
            ),
            reverse=True,
        )[: 2 * beams]
        ended += [
            (score / length, text)
            for score, text, _ in candidates[:beams]
            if text[-1] == SMALL.eos or length == LONGER
        ]
        ended = sorted(ended, reverse=True)[:beams]
        kept = [found for found in candidates if found[1][-1] != SMALL.eos][:beams]
        if len(ended) == beams and kept[0][0] / length <= ended[-1][0]:
            break
        moved |= 1 < length < LONGER and [place for *_, place in kept] != list(range(beams))
        opened = [(score, text) for score, text, _ in kept]
    return ended[0][1], moved


@pytest.mark.parametrize("beams", [2, 3])
def test_each_beam_remembers_its_own_text(tokenizer, beams):
    lm = random_lm(UNTIED, tokenizer, size=0.8)
    behind = rows_behind(lm)
    drawn = np.random.default_rng(2).normal(size=(16, 3, SMALL.width)).astype(np.float32)
    prompts = jnp.asarray(drawn)
    mask = jnp.ones(prompts.shape[:2], bool)
    found = beam_search(lm.model, lm.params, prompts, mask, length=LONGER, beams=beams)
    moves = 0
    for row, prompt in zip(np.asarray(found), prompts, strict=True):

        def following(text, prompt=prompt):
            filler = [0] * (LONGER - len(text))
            return behind(prompt, [*text, *filler])[len(text)].tolist()

        text, moved = plain_beams(following, beams)
        assert row.tolist() == [*text, *[SMALL.eos] * (LONGER - len(text))]
        moves += moved
    assert moves >= 4, "the beams hardly ever changed places"


def test_one_beam_follows_the_likeliest_token(small, prompts):
    one = beam_search(small.model, small.params, *prompts, length=LENGTH, beams=1)
    likeliest = greedy(small.model, small.params, *prompts, length=LENGTH)
    assert one.shape == likeliest.shape == (4, LENGTH)
    # It may stop later than greedy decoding, for a text that ends is set aside.
    np.testing.assert_array_equal(one[:, 0], likeliest[:, 0])
