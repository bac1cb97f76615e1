"""Preprocessing against CLIP's own tensors, bit for bit."""

import numpy as np
import pytest
from PIL import Image

from common.clip import Preprocess, hugging_face, open_clip
from common.clip.preprocess import MEAN, STD
from common.errors import UserError


def test_equals_clips_own_tensors(shared_data):
    folder = shared_data / "clip_preprocess_golden"
    golden = np.load(folder / "golden.npz")
    assert len(golden["names"]) == 7
    for name, pixels in zip(golden["names"], golden["pixel_values"], strict=True):
        (file,) = (folder / "images").glob(f"{name}.*")
        made = Preprocess(224)(Image.open(file))
        assert made.dtype == np.float32
        np.testing.assert_array_equal(made.transpose(2, 0, 1), pixels)


@pytest.mark.parametrize("size", [(40, 20), (20, 40), (20, 20), (7, 33)])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA"])
def test_any_shape_and_mode(size, mode):
    pixels = Preprocess(16)(Image.new("RGB", size, (255, 255, 255)).convert(mode))
    assert pixels.shape == (16, 16, 3)
    white = (1 - np.asarray(MEAN)) / np.asarray(STD)
    np.testing.assert_allclose(pixels[8, 8], white, rtol=1e-6)


def test_grey_of_sixteen_bits_is_scaled_and_not_clipped():
    grey = np.arange(400, dtype=np.uint8).reshape(20, 20)
    wide = Image.fromarray(grey.astype(np.uint16) * 257)
    assert wide.mode == "I;16"
    made = Preprocess(16)(wide)
    np.testing.assert_array_equal(made, Preprocess(16)(Image.fromarray(grey)))


@pytest.mark.parametrize("mode", ["F", "I"])
def test_a_picture_of_no_known_white_is_refused(mode):
    with pytest.raises(UserError, match=r"photo cannot be read .*nobody knows which is white"):
        Preprocess(16)(Image.new(mode, (20, 20)))


def test_the_crop_is_central():
    image = Image.new("RGB", (30, 10))
    image.paste((255, 0, 0), (10, 0, 20, 10))
    red = Preprocess(10, mean=(0.0,) * 3, std=(1.0,) * 3)(image)[..., 0]
    np.testing.assert_array_equal(red, np.ones((10, 10)))


OTHER = Preprocess(32, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))


@pytest.mark.parametrize("layout", [hugging_face, open_clip])
def test_round_trip_through_json(layout):
    assert layout.preprocess_from_json(layout.preprocess_to_json(OTHER), 32) == OTHER
    assert layout.preprocess_from_json({}, 32) == Preprocess(32)


def test_old_files_give_the_crop_as_a_number():
    config = {"crop_size": 32, "size": 32}
    assert hugging_face.preprocess_from_json(config, 32) == Preprocess(32)


@pytest.mark.parametrize(
    ("layout", "config", "message"),
    [
        (
            hugging_face,
            {"crop_size": {"height": 48, "width": 48}},
            "crops to 48 pixels; the image tower takes 32",
        ),
        (hugging_face, {"resample": 2}, "resampling other than bicubic"),
        (
            open_clip,
            {"preprocess_cfg": {"resize_mode": "longest"}},
            "resize_mode='longest' in .* is not 'shortest' or 'squash'",
        ),
    ],
)
def test_what_is_refused(layout, config, message):
    with pytest.raises(UserError, match=message):
        layout.preprocess_from_json(config, 32)
