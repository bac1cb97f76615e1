"""Captioned pictures as a language model meets them."""

import numpy as np

from aape_jax.captioning.features import describe
from aape_jax.core import texts
from aape_jax.datasets import caption_set
from common.clip import load_clip
from common.data import passes
from common.data.clip_features import image_features
from common.evaluation.classification import normalise
from tests.aape.caption_problem import text_vectors


def test_the_tower_sees_each_photo_once(tmp_path, monkeypatch):
    """Also where the model scores captions and the report asks for its features."""
    sizes, seen, whole = {"train": 6, "test": 4}, [], passes.feature_pass

    def counted(*given, rows, **options):
        seen.append(len(rows))
        return whole(*given, rows=rows, **options)

    monkeypatch.setattr(caption_set, "POCKET_SIZES", {"captions": sizes})
    monkeypatch.setattr(texts, "text_features", text_vectors)
    monkeypatch.setattr(passes, "feature_pass", counted)
    clip = load_clip("pocket")
    parts = describe(caption_set.open_caption_set("pocket:captions"), clip, tmp_path)
    for name, part in parts.items():
        features = image_features(clip, part.texts.pictures, tmp_path)
        np.testing.assert_array_equal(part.views.x, normalise(features))
        assert part.views.grid.shape == (sizes[name], 16, clip.config.vision.width)
        assert part.captions.shape[:2] == part.mask.shape == (sizes[name], 5)
    assert seen == [6, 4]
