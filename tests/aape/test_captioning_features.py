"""Captioned pictures as a language model meets them."""

import numpy as np

from aape_jax.captioning.features import encode_images
from aape_jax.datasets import caption_set
from common.clip import load_clip
from common.data import passes
from common.data.clip_features import image_features
from common.evaluation.classification import normalise


def test_the_tower_sees_each_photo_once(tmp_path, monkeypatch):
    """Also where the model scores captions and the report asks for its features."""
    sizes, seen, whole = {"train": 6, "test": 4}, [], passes.feature_pass

    def counted(*given, rows, **options):
        seen.append(len(rows))
        return whole(*given, rows=rows, **options)

    monkeypatch.setattr(caption_set, "POCKET_SIZES", {"captions": sizes})
    monkeypatch.setattr(passes, "feature_pass", counted)
    clip, texts = load_clip("pocket"), caption_set.open_caption_set("pocket:captions")
    pictures = {name: part.pictures for name, part in texts.items()}
    for name, images in encode_images(pictures, clip, tmp_path).items():
        features = image_features(clip, pictures[name], tmp_path)
        np.testing.assert_array_equal(images.x, normalise(features))
        assert images.grid.shape == (sizes[name], *clip.config.vision.grid)
    assert seen == [6, 4]
