"""Where vectors went, on vocabularies whose neighbours are known."""

from dataclasses import asdict

import numpy as np
import pytest

from common.clip import Tokenizer, vocabulary
from mcti_jax.drift import Drift, drift, drift_table, mean_drift, nearest_words

# The i-th word of a half circle lies at 10 i degrees, with a length that must not matter.
ANGLES = np.deg2rad(10 * np.arange(19))
LENGTHS = np.linspace(0.1, 9, 19)[:, None]
TABLE = (LENGTHS * np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)).astype(np.float32)


class Words(Tokenizer):
    def __init__(self, bos=None, eos=None):
        self.vocab_size, self.bos, self.eos = 19, bos, eos

    def word(self, token):
        return f"w{token}"


def at(degrees, length=1.0):
    angle = np.deg2rad(degrees)
    return np.array([length * np.cos(angle), length * np.sin(angle)], np.float32)


def test_the_nearest_by_angle():
    vectors = np.stack([at(42), at(178, 5.0)])
    first, second = nearest_words(vectors, TABLE, Words(), ["<a>", "<b>"], count=3)
    assert [word for word, _ in first] == ["w4", "w5", "w3"]
    assert [word for word, _ in second] == ["w18", "w17", "w16"]
    np.testing.assert_allclose([c for _, c in first], np.cos(np.deg2rad([2, 8, 12])), rtol=1e-5)


def test_a_word_is_not_its_own_neighbour():
    """A model may have been saved with the learned word in its vocabulary."""
    (found,) = nearest_words(at(42)[None], TABLE, Words(), ["w4"], count=3)
    assert [word for word, _ in found] == ["w5", "w3", "w6"]


def test_the_marks_of_a_texts_ends_are_no_words():
    (found,) = nearest_words(at(42)[None], TABLE, Words(bos=4, eos=5), ["<a>"], count=3)
    assert [word for word, _ in found] == ["w3", "w6", "w2"]


def test_rows_that_are_no_words():
    table = np.concatenate([TABLE, at(42)[None], np.zeros((2, 2), np.float32)])
    (found,) = nearest_words(at(42)[None], table, Words(), ["<a>"], count=1)
    assert found[0][0] == "w4"
    table[4] = 0
    (found,) = nearest_words(at(42)[None], table, Words(), ["<a>"], count=19)
    assert found[0][0] == "w5" and len(found) == 19
    assert np.isfinite([cosine for _, cosine in found]).all()


def test_chunks_change_nothing(monkeypatch):
    vectors = np.random.default_rng(0).standard_normal((7, 2)).astype(np.float32)
    expected = nearest_words(vectors, TABLE, Words(), ["<a>"] * 7)
    monkeypatch.setattr(vocabulary, "_AT_ONCE", 3)
    found = nearest_words(vectors, TABLE, Words(), ["<a>"] * 7)
    for one, other in zip(found, expected, strict=True):
        assert [word for word, _ in one] == [word for word, _ in other]
        assert [c for _, c in one] == pytest.approx([c for _, c in other], rel=1e-6)


@pytest.fixture
def followed():
    tokens = np.stack([[at(0, 2.0), at(90)], [at(60), at(90, 3.0)]])
    start = np.stack([at(0), at(90)])
    return tokens, start, drift(tokens, start, TABLE, Words(), ["a b", "c"], ["<a-b>", "<c>"])


def test_every_vector_is_followed(followed):
    _, _, found = followed
    assert [(d.classname, d.word, d.number) for d in found] == [
        ("a b", "<a-b>", 0),
        ("a b", "<a-b>", 1),
        ("c", "<c>", 0),
        ("c", "<c>", 1),
    ]
    assert [d.norm for d in found] == pytest.approx([2, 1, 1, 3])
    assert [d.distance for d in found] == pytest.approx([1, 0, 1, 2], abs=1e-6)
    assert [d.cosine_to_start for d in found] == pytest.approx([1, 1, 0.5, 1])
    assert [d.nearest[0][0] for d in found] == ["w0", "w9", "w6", "w9"]


def test_means(followed):
    tokens, start, _ = followed
    found = mean_drift(tokens, start)
    expected = {"drift/norm": 7 / 4, "drift/distance": 1.0, "drift/cosine_to_start": 3.5 / 4}
    assert found == pytest.approx(expected)


def test_the_table_reads_well_and_is_not_endless():
    one = asdict(Drift("red dog", "<red-dog>", 0, 1.0, 0.5, 0.9, [("dog", 0.91), ("re-", 0.5)]))
    *_, row = drift_table([one]).splitlines()
    assert [cell.strip() for cell in row.strip("|").split("|")] == [
        *("red dog", "<red-dog>", "1.000", "0.500", "0.900", "dog 0.91, re- 0.50"),
    ]
    many = [one | {"classname": f"c{n}"} for n in range(60)]
    *_, last, hidden = drift_table(many).splitlines()
    assert last.startswith("| c4 ") and hidden == "... and 55 more"


def test_vectors_of_a_class_are_numbered_and_five_classes_shown():
    rows = [
        asdict(Drift(f"c{label}", f"<c{label}>", number, 1.0, 0.5, 0.9, []))
        for label in range(7)
        for number in range(6)
    ]
    header, _, *lines, hidden = drift_table(rows).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in (header, *lines)]
    assert cells[0][:3] == ["class", "word", "vector"]
    assert [row[1:3] for row in cells[1:]] == [
        [f"<c{label}>", str(number)] for label in range(5) for number in range(1, 6)
    ]
    assert hidden == "... and 17 more"
