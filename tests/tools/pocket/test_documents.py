"""Texts of the pocket language model: what they say is true, and held out looks are not told."""

import numpy as np
import pytest

from common.language.prompts import CAPTION, SEPARATOR
from common.pocket.captions import questions
from common.pocket.world import ANONYMOUS, is_unseen, sample_scene
from tools.pocket.documents import (
    asked,
    caption_document,
    examples,
    packed_rows,
    sample_document,
    told,
)
from tools.pocket.train_lm import train_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(0)


def scenes(count):
    generator = np.random.default_rng(0)
    return [sample_scene(ANONYMOUS[i], generator) for i in range(count)]


def test_a_caption_follows_the_words_that_ask_for_it():
    (scene,) = scenes(1)
    before, asking, last = caption_document(scene, 2, np.random.default_rng(0))
    assert asking == CAPTION and last.startswith(" ")
    assert before.count(f"on {scene.background}") == 2
    assert caption_document(scene, 0, np.random.default_rng(0))[0] == CAPTION


def test_answers_are_those_of_the_scene():
    (scene,) = scenes(1)
    pieces = asked([scene] * 20, np.random.default_rng(0))
    right = {(f"Q: {each.text} A:", f" {each.answer}") for each in questions(scene)}
    found = set(zip(pieces[::3], pieces[1::3], strict=True))
    assert found <= right and len(found) > 4
    assert set(pieces[2::3]) == {SEPARATOR}


def test_examples_tell_of_each_scene_before_they_ask_about_it():
    some = scenes(3)
    pieces = examples(some, 1, np.random.default_rng(0))
    lines = "".join(pieces).split(SEPARATOR)
    assert len(lines) == 3
    for scene, line in zip(some, lines, strict=True):
        assert any(f"{q.text} A: {q.answer}" in line for q in questions(scene))


def test_rows_are_filled_and_of_one_seed_the_same(tokenizer):
    rows = packed_rows(3, 40, tokenizer, tokenizer.end, seed=1)
    assert rows.shape == (3, 40) and (rows == tokenizer.end).any()
    np.testing.assert_array_equal(rows[:2], packed_rows(2, 40, tokenizer, tokenizer.end, seed=1))
    assert (rows != packed_rows(3, 40, tokenizer, tokenizer.end, seed=2)).any()


def test_case_and_line_ends_survive_the_tokenizer(tokenizer):
    text = "a red star\nQ: what shape is shown? A: star"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert len(tokenizer.encode(" crescent")) == 1, "words of the world are one token"


def test_held_out_looks_are_not_told():
    assert not any(is_unseen(species.look) for species in ANONYMOUS)
    generator = np.random.default_rng(0)
    assert all("".join(sample_document(generator)) for _ in range(20))
    assert told(scenes(1)[0], 0, generator) == []
