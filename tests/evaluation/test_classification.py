import numpy as np
import pytest

from common.errors import UserError
from common.evaluation.classification import (
    accuracy,
    accuracy_by_class,
    class_accuracy,
    confusion,
    nearest_by_cosine,
    normalise,
)

LABELS = np.asarray([0, 0, 0, 0, 1, 1])
PREDICTED = np.asarray([0, 0, 0, 1, 1, 2])


def test_accuracy_counts_examples():
    assert accuracy(PREDICTED, LABELS) == pytest.approx(4 / 6)


def test_no_examples_is_a_sentence():
    with pytest.raises(UserError, match="no examples to test on"):
        accuracy(PREDICTED[:0], LABELS[:0])


def test_rows_of_the_confusion_are_true_classes():
    assert confusion(PREDICTED, LABELS, 3).tolist() == [[3, 1, 0], [0, 1, 1], [0, 0, 0]]


def test_class_accuracy_counts_classes_and_passes_over_absent_ones():
    by_class = accuracy_by_class(PREDICTED, LABELS, 3)

    assert by_class[:2].tolist() == [0.75, 0.5]
    assert np.isnan(by_class[2])
    assert class_accuracy(PREDICTED, LABELS, 3) == 0.625


def test_normalise_keeps_zeros_and_widens_half_precision():
    unit = normalise(np.asarray([[3.0, 4.0], [0.0, 0.0]], np.float16))

    assert unit.dtype == np.float32
    assert unit.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0.0, 0.0]]
    assert normalise(np.ones((1, 2))).dtype == np.float64


def test_nearest_by_cosine_ignores_length():
    classes = np.asarray([[1.0, 0.0], [0.0, 100.0]])

    assert nearest_by_cosine(np.asarray([[2.0, 1.0], [0.1, 0.2]]), classes).tolist() == [0, 1]
