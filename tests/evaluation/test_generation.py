import numpy as np
import pytest

from common.errors import UserError
from common.evaluation.generation import accuracy, clip_i, clip_t, diversity

X, Y = [1.0, 0.0], [0.0, 2.0]
DIAGONAL = [3.0, 3.0]
HALF = 0.5**0.5


def array(*rows) -> np.ndarray:
    return np.asarray(rows)


def test_clip_i_compares_within_classes_only():
    generated, labels = array(X, Y), np.asarray([0, 1])
    real, real_labels = array(X, DIAGONAL, X), np.asarray([0, 0, 1])

    # Class 0: cosines 1 and HALF; class 1: 0.
    expected = ((1 + HALF) / 2 + 0) / 2
    assert clip_i(generated, labels, real, real_labels) == pytest.approx(expected)


def test_clip_i_counts_classes_alike_and_needs_both_kinds():
    generated, labels = array(X, X, X, Y), np.asarray([0, 0, 0, 1])

    assert clip_i(generated, labels, array(X, X), np.asarray([0, 1])) == pytest.approx(0.5)
    assert clip_i(generated, labels, array(X), np.asarray([0])) == pytest.approx(1)
    with pytest.raises(UserError, match="no class has generated and real pictures"):
        clip_i(generated, labels, array(X), np.asarray([2]))


def test_clip_t_compares_row_by_row():
    assert clip_t(array(X, Y, X), array(X, DIAGONAL, Y)) == pytest.approx((1 + HALF) / 3)


def test_diversity_is_over_different_pictures_of_one_class():
    assert diversity(array(X, X, Y, Y), np.asarray([0, 0, 1, 1])) == pytest.approx(0)
    # Class 0: one pair, cosine 0. Class 1: pairs with cosines 1, HALF and HALF.
    features = array(X, Y, X, X, DIAGONAL)
    expected = 1 - (0 + (1 + 2 * HALF) / 3) / 2
    assert diversity(features, np.asarray([0, 0, 1, 1, 1])) == pytest.approx(expected)
    with pytest.raises(UserError, match="no class has two generated pictures"):
        diversity(array(X, Y), np.asarray([0, 1]))


def test_generated_accuracy_uses_the_classifier():
    features, labels = array(X, Y, DIAGONAL), np.asarray([0, 1, 1])

    assert accuracy(features, labels, array(X, Y)) == pytest.approx(2 / 3)
    assert accuracy(features, labels, array(Y, X)) == 0
