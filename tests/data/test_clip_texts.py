import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.clip import encode_text, load_clip
from common.data import clip_texts
from common.data.clip_texts import text_features

pytestmark = pytest.mark.usefixtures("quick_compiler")
TEXTS = [
    "a star",
    "a photo of a red star with white stripes on a brick wall",
    "a star",
    "a photo of a blue heart",
]


@pytest.fixture(scope="module")
def clip(quick_compiler):
    return load_clip("pocket")


def test_texts_are_encoded_as_the_tower_alone_does(clip, tmp_path, monkeypatch):
    run = jax.jit(encode_text, static_argnums=0)
    expected = run(clip.text_tower, clip.params["text"], jnp.asarray(clip.tokenizer(TEXTS)))
    monkeypatch.setattr(clip_texts, "WIDTHS", (6, 9))
    found = text_features(clip, TEXTS, tmp_path)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert np.array_equal(found[0], found[2])


def test_what_is_too_long_is_cut(clip, tmp_path):
    """And told of; what just fits is not."""
    longest, told = "star " * clip.tokenizer.room, []
    texts = ["star " * 100, longest, f"{longest} star", "star " * 100]
    assert np.isfinite(text_features(clip, texts, tmp_path, told.append)).all()
    assert told == [["star " * 100, f"{longest} star"]]
    text_features(clip, [longest], tmp_path, pytest.fail)
