"""The benchmark of CLIP's lists: that it compares like with like, and counts programs."""

import jax
import numpy as np
import pytest

from benchmarks import front_door
from common.clip import load_clip


@pytest.fixture(scope="module")
def clip(quick_compiler):
    return load_clip("pocket")


def test_the_loops_by_hand_give_the_same(clip):
    photos, texts = front_door.make_lists(5)
    images, sentences = front_door.hand_written(clip)
    np.testing.assert_allclose(images(photos), clip.image_features(photos), atol=2e-6)
    np.testing.assert_allclose(sentences(texts), clip.text_features(texts), atol=2e-6)


def test_the_second_call_compiles_nothing(clip, monkeypatch):
    monkeypatch.setattr(front_door, "SIZES", range(15, 18))
    _, texts = front_door.make_lists(17)
    jax.clear_caches()
    encoded = []

    def encode(entries):
        encoded.append(len(entries))
        return clip.text_features(entries)

    rows = front_door.sizes_table(encode, texts)
    assert encoded == [15, 15, 16, 16, 17, 17]
    assert [row[1] for row in rows] == ["1", "0", "1"] and {row[3] for row in rows} == {"0"}
