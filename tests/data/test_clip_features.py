import jax
import numpy as np
import pytest

from common.clip import load_clip
from common.data import clip_features, few_shot, open_dataset, passes
from common.data.clip_features import MIRROR, features_and_grids, image_features

pytestmark = pytest.mark.usefixtures("quick_compiler")


@pytest.fixture(scope="module")
def clip(quick_compiler):
    return load_clip("pocket")


@pytest.fixture(scope="module")
def photos():
    return few_shot(open_dataset("pocket:rare").train, 1, 0).take(range(5))


def test_a_grid_holds_the_towers_cells(clip, photos, tmp_path):
    features, found = features_and_grids(clip, photos, tmp_path)
    pixels = np.stack([clip.preprocess(photos.load(row)) for row in range(len(photos))])
    tower = jax.jit(clip.image_tower.apply)({"params": clip.params["vision"]}, pixels)
    assert found.shape == (5, 16, clip.config.vision.width) and found.dtype == np.float16
    np.testing.assert_allclose(found[:, 4 * 2 + 3], tower.grid[:, 2, 3], rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(features, tower.features, rtol=1e-4, atol=1e-5)


def test_the_tower_sees_each_photo_once(clip, photos, tmp_path, monkeypatch):
    seen, whole = [], passes.feature_pass

    def counted(*given, rows, **options):
        seen.append(len(rows))
        return whole(*given, rows=rows, **options)

    monkeypatch.setattr(passes, "feature_pass", counted)
    monkeypatch.setattr(clip_features, "PHOTOS_AT_ONCE", 1)
    monkeypatch.setattr(clip_features, "PART", 3)
    features, grids = features_and_grids(clip, photos, tmp_path)
    np.testing.assert_array_equal(image_features(clip, photos, tmp_path), features)
    np.testing.assert_array_equal(features_and_grids(clip, photos, tmp_path)[1], grids)
    assert seen == [3, 2]
    # Features that are there already stay as they are; the cells take a pass of their own.
    alone = image_features(clip, photos, tmp_path / "other")
    np.testing.assert_allclose(alone, features, rtol=1e-4, atol=1e-5)
    again, cells = features_and_grids(clip, photos, tmp_path / "other")
    np.testing.assert_array_equal(again, alone)
    np.testing.assert_array_equal(cells, grids)
    assert seen == [3, 2] * 3


def test_an_interrupted_pass_goes_on_behind_the_last_file(clip, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(clip_features, "PHOTOS_AT_ONCE", 1)
    monkeypatch.setattr(clip_features, "PART", 2)
    loaded, interrupted = [], {4}

    def change(photo, row):
        if row in interrupted:
            raise KeyboardInterrupt
        loaded.append(row)
        return photo

    version = clip_features.Version("original", change)
    with pytest.raises(KeyboardInterrupt):
        image_features(clip, photos, tmp_path, version)
    assert set(loaded) == {0, 1, 2, 3}
    interrupted.clear()
    loaded.clear()
    found = image_features(clip, photos, tmp_path, version)
    assert set(loaded) == {4}
    monkeypatch.undo()
    np.testing.assert_allclose(
        found, image_features(clip, photos, tmp_path / "other"), rtol=1e-4, atol=1e-5
    )


def test_versions_do_not_share_a_cache(clip, photos, tmp_path):
    original = image_features(clip, photos, tmp_path)
    mirrored = image_features(clip, photos, tmp_path, MIRROR)
    assert np.abs(original - mirrored).max() > 1e-3


def test_no_photos_give_no_features(clip, photos, tmp_path):
    assert image_features(clip, photos.take([]), tmp_path).shape == (0, 128)
