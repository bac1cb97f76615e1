"""The small tower: its sizes, what it gives, and a run that has to train it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aape_jax.vqa.towers import FrozenTower, SmallTower, make_tower, patches
from common.clip.known import describe_clip
from common.data import ImageSplit
from common.errors import UserError
from common.photos.photo import ArrayPhoto
from configs.aape_vqa import get_config
from tests.aape.problem import vectors

pytestmark = pytest.mark.usefixtures("quick_compiler")

WIDTH = 6


def test_its_convolutions_are_jaxs():
    cells, kernel = vectors(2, 7, 10, 3), vectors(27, 4, seed=1)
    expected = jax.lax.conv_general_dilated(
        cells,
        kernel.reshape(3, 3, 3, 4),
        window_strides=(2, 2),
        padding=((0, 2), (0, 2)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    found = patches(jnp.asarray(cells)) @ kernel
    np.testing.assert_allclose(found, expected[:, :4, :5], rtol=1e-4, atol=1e-5)


def test_the_small_tower_by_hand():
    tower = SmallTower(side=8, channels=(4,))
    params = tower.init(jax.random.key(0), WIDTH)
    seen = np.random.default_rng(0).integers(256, size=(2, 8, 8, 3)).astype(np.uint8)
    kernel, last = (np.asarray(x) for x in (params["conv_0"]["kernel"], params["last"]))
    padded = np.pad(seen / 127.5 - 1, ((0, 0), (0, 1), (0, 1), (0, 0)))
    cells = np.zeros((2, 4, 4, 4))
    for i in range(4):
        for j in range(4):
            patch = padded[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
            cells[:, i, j] = np.maximum(patch.reshape(2, -1) @ kernel, 0)
    x = np.concatenate([cells.max((1, 2)), cells.mean((1, 2))], axis=1) @ last
    expected = x / np.linalg.norm(x, axis=1, keepdims=True)
    np.testing.assert_allclose(tower(params, jnp.asarray(seen)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("side", [8, 20, 64])
def test_any_side_will_do(side):
    tower = make_tower(get_config(f"tower=small,side={side}"))
    outline = tower.outline(5, WIDTH)
    params = jax.eval_shape(lambda: tower.init(jax.random.key(0), WIDTH))
    assert jax.eval_shape(tower, params, outline).shape == (5, WIDTH)


def test_pictures_are_squeezed(tmp_path):
    photo = ArrayPhoto(np.full((10, 30, 3), 7, np.uint8))
    split = ImageSplit(np.arange(2), ("a", "b"), (photo, photo))
    seen = SmallTower(side=8).see(describe_clip("pocket"), split, tmp_path)
    assert seen.shape == (2, 8, 8, 3) and seen.dtype == np.uint8 and (seen == 7).all()


def test_clips_features_are_left_as_they_are():
    tower = make_tower(get_config())
    assert isinstance(tower, FrozenTower) and tower.init(jax.random.key(0), WIDTH) == {}
    x = jnp.ones((2, WIDTH))
    assert tower({}, x) is x and tower.outline(2, WIDTH).shape == x.shape


@pytest.mark.parametrize(
    ("change", "sentence"),
    [("tower=big", "tower='big' is unknown: write small"), ("side=4", "side=4: the small tower")],
)
def test_options_that_cannot_be(change, sentence):
    with pytest.raises(UserError, match=sentence):
        make_tower(get_config(change))
