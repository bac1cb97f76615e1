"""Examples that are learned from and measured on."""

import numpy as np
import pytest

from common.data import Dataset
from common.data.shared import say_shared
from common.data.splits import FeatureSplit


def test_photos_in_both_parts_are_counted_and_named(capsys):
    pixels = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    data = Dataset.from_arrays(pixels[:3], [0, 1, 0], ["a", "b"], test=(pixels[2:], [0, 1, 1]))
    say_shared(data.train, data.test)
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith(
        "1 of 3 test examples also learned from, e.g. test photos[0], which is photos[2]: "
    )
    say_shared(data.train.take([0, 1]), data.test, data.test.take([]))
    assert not capsys.readouterr().out


@pytest.mark.parametrize(("rows", "shared"), [([0, 3], "2 of 2"), ([3, 4], "1 of 2"), ([4], "")])
def test_features_in_both_parts(capsys, rows, shared):
    features = np.eye(5, dtype=np.float32)
    train, test = FeatureSplit(np.arange(4), features[:4]), FeatureSplit(np.arange(5), features)
    say_shared(train, test.take(rows))
    assert capsys.readouterr().out.startswith(shared)
